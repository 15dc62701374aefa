// Tests the page of the uploads example in Chromium, on a disk that is full.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { problem } from "../../examples/uploads/static/words.js";
import { launch } from "../support/browser.mjs";
import { content } from "../support/files.mjs";
import { Harbour } from "../support/harbour.mjs";
import { Server } from "../support/server.mjs";
import { onSmallDisk } from "../support/small-disk.mjs";
import { Wire } from "../support/wire.mjs";

const DISK = 4_000_000;
const WORDS = "The server has no space left";

let browser;
let folder;
let server;
let wire;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "full-"));
});
after(async () => {
  await browser?.close();
  await wire?.close();
  await server?.stop("SIGKILL");
  await rm(folder, { recursive: true });
});

/** Creates a file for the page to choose, which is not on the small disk. */
async function source(name, size) {
  const path = join(folder, name);
  await writeFile(path, content(size));
  return path;
}

test("a file that finds no space left says so, and costs no other file anything", async t => {
  const small = await mkdtemp(join(folder, "disk-"));
  const under = onSmallDisk(small, DISK);
  if (!under) {
    t.diagnostic("no file system can be mounted here: the words alone");
    assert.equal(problem({ reason: "writer_failure", cause: "no_space" }), WORDS);
    return;
  }
  server = await Server.start("uploads", { env: { UPLOADS_DIR: small }, under });
  wire = await Wire.to(server.port);
  browser = await launch();
  const other = await Harbour.opens(browser, wire.url);
  wire.hold(500_000);
  await other.chooses(await source("other.zip", 2_000_000));
  await other.reaches("other.zip", 10);

  const page = await Harbour.opens(browser, server.url);
  await page.chooses(await source("huge.zip", 2 * DISK));
  await page.shows("huge.zip", "failed");
  await page.says("huge.zip", WORDS);
  await page.row("huge.zip").locator(".retry").waitFor();
  await page.screenshot("uploads-no-space");

  // The partial file is deleted by now, so there is room for files that fit.
  await page.chooses(await source("fits.zip", 1_500_000));
  assert.ok((await page.fetches("fits.zip")).body.equals(content(1_500_000)));
  wire.release();
  assert.ok((await other.fetches("other.zip")).body.equals(content(2_000_000)));

  assert.deepEqual([...page.errors, ...other.errors], []);
});

// The uploads as people use them: real files, in a page of a real browser.

import assert from "node:assert/strict";
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { launch, screenshot } from "../support/browser.mjs";
import { content } from "../support/files.mjs";
import { Server } from "../support/server.mjs";
import { Wire } from "../support/wire.mjs";

const CHUNK = 64_000;
const LARGE = 50_000_000;

let browser;
let files;
let folder;
let server;
let page;
let errors;

before(async () => {
  browser = await launch();
  files = await mkdtemp(join(tmpdir(), "to-upload-"));
});
after(async () => {
  await browser.close();
  await rm(files, { recursive: true });
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "uploaded-"));
  server = await Server.start("uploads", { env: { UPLOADS_DIR: folder } });
});
afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await server.stop();
  await rm(folder, { recursive: true });
});

async function open(url = server.url, colorScheme = "light") {
  const context = await browser.newContext({ viewport: { width: 900, height: 760 }, colorScheme });
  context.setDefaultTimeout(30_000);
  errors = [];
  page = await context.newPage();
  page.on("pageerror", error => errors.push(String(error)));
  await page.goto(url);
  await page.waitForSelector("#status.online");
}

/** Files on the disk of whoever uses the page. */
async function onDisk(sizes) {
  return Promise.all(Object.entries(sizes).map(async ([name, bytes]) => {
    const path = join(files, name);
    await writeFile(path, typeof bytes === "number" ? content(bytes) : bytes);
    return path;
  }));
}

const row = name => page.locator(".file", { has: page.locator(".name", { hasText: name }) });
const is = (name, status) => row(name).and(page.locator(`[data-status="${status}"]`)).waitFor();

/** What the server has kept, by size. */
async function kept() {
  const names = (await readdir(folder)).filter(name => !name.startsWith("channel-uploads-"));
  const all = await Promise.all(names.map(name => readFile(join(folder, name))));
  return all.sort((one, other) => one.length - other.length);
}

/** Files that no upload has completed. */
async function unfinished() {
  const directories = (await readdir(folder)).filter(name => name.startsWith("channel-uploads-"));
  const inside = await Promise.all(directories.map(name => readdir(join(folder, name))));
  return inside.flat().filter(name => name !== "lock");
}

test("files of no byte, one byte, one chunk and 50 MB are kept byte for byte", async () => {
  await open();
  const sizes = { "nothing.bin.zip": 0, "one.zip": 1, "chunk.zip": CHUNK, "large.zip": LARGE };
  await page.setInputFiles("#files", await onDisk(sizes));
  await page.locator('.file[data-status="uploading"]').first().waitFor();
  await screenshot(page, "uploads-several");
  for (const name of Object.keys(sizes)) await is(name, "done");
  const stored = await kept();
  assert.deepEqual(stored.map(bytes => bytes.length), [0, 1, CHUNK, LARGE]);
  stored.forEach(bytes => assert.ok(bytes.equals(content(bytes.length)), `${bytes.length} bytes`));
  assert.deepEqual([await unfinished(), errors], [[], []]);
});

test("an image is shown, and what is no image, too large or of another type is refused in words", async () => {
  await open(server.url, "dark");
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");
  const paths = await onDisk({ "dot.png": png, "fake.png": 500, "program.exe": 10, "huge.zip": 101_000_000 });
  await page.setInputFiles("#files", paths);
  await is("dot.png", "done");
  await row("dot.png").locator(".thumb img").waitFor();
  const words = async name => {
    await is(name, "failed");
    return row(name).locator(".words").textContent();
  };
  assert.equal(await words("program.exe"), "Files of this type are not taken");
  assert.equal(await words("huge.zip"), "Too large: at most 100 MB");
  assert.equal(await words("fake.png"), "It is called an image, and is none");
  await screenshot(page, "uploads-errors-dark");
  assert.equal((await kept()).length, 1);
  assert.deepEqual([await unfinished(), errors], [[], []]);
});

test("a file that is cancelled on its way leaves nothing", async () => {
  await open();
  await page.setInputFiles("#files", await onDisk({ "large.zip": LARGE }));
  await is("large.zip", "uploading");
  await row("large.zip").locator(".cancel").click();
  await row("large.zip").waitFor({ state: "detached" });
  await until(async () => (await unfinished()).length === 0);
  assert.deepEqual([await kept(), errors], [[], []]);
});

test("an upload goes on where it was when the connection is back", async () => {
  const wire = await Wire.to(server.port);
  await open(wire.url);
  await page.setInputFiles("#files", await onDisk({ "large.zip": LARGE }));
  await until(() => wire.sent > LARGE / 4);
  wire.cut();
  await is("large.zip", "done");
  const [stored] = await kept();
  assert.ok(stored.equals(content(LARGE)));
  assert.ok(wire.sent < LARGE * 1.2, `${wire.sent} bytes were sent`);
  await page.context().close();
  await wire.close();
});

test("what kill -9 leaves is swept by the next server, and the page brings its file again", async () => {
  await open();
  await page.setInputFiles("#files", await onDisk({ "large.zip": LARGE }));
  await until(async () => (await unfinished()).length === 1);
  await server.stop("SIGKILL");
  const [left] = await unfinished();
  server = await Server.start("uploads", { port: server.port, env: { UPLOADS_DIR: folder } });
  assert.ok(!(await unfinished()).includes(left), "it is swept at the start");
  await is("large.zip", "done");
  assert.ok((await kept())[0].equals(content(LARGE)));
  assert.deepEqual(await unfinished(), []);
});

/** Looks until it is so; the test's own time limit ends it. */
async function until(holds) {
  while (!(await holds())) await new Promise(resolve => setImmediate(resolve));
}

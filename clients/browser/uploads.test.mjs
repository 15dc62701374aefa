// Tests the page of the uploads example in Chromium, with real files.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { deflateSync } from "node:zlib";

import { complaints, launch } from "../support/browser.mjs";
import { content } from "../support/files.mjs";
import { Harbour } from "../support/harbour.mjs";
import { Server } from "../support/server.mjs";
import { Wire } from "../support/wire.mjs";
import { PATIENCE } from "../support/within.mjs";

const CHUNK = 64_000;
const BIG = 10_000_000;
const HUGE = 50_000_000;
/** Bytes that may be sent besides: a chunk in flight, and the head of every other. */
const MORE = 3 * CHUNK;

let browser;
let sources;
let folder;
let server;
let wire;

before(async () => {
  browser = await launch();
  sources = await mkdtemp(join(tmpdir(), "sources-"));
});
after(async () => {
  await browser?.close();
  await rm(sources, { recursive: true });
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "harbour-"));
  server = await Server.start("uploads", { env: { UPLOADS_DIR: folder } });
  wire = await Wire.to(server.port);
});
afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await wire.close();
  await server.stop("SIGKILL");
  await rm(folder, { recursive: true });
});

/** Creates a file on the disk, for the page to choose. */
async function source(name, bytes) {
  const path = join(sources, name);
  await writeFile(path, typeof bytes === "number" ? content(bytes) : bytes);
  return path;
}

/** Returns the checksum of a part of a PNG. */
function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** Returns a PNG of one colour. */
function png(width, height, [red, green, blue]) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const line = Buffer.from([0, ...Array(width).fill([red, green, blue]).flat()]);
  const lines = deflateSync(Buffer.concat(Array(height).fill(line)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", lines), chunk("IEND", Buffer.alloc(0))]);
}

const kept = async () => (await readdir(folder)).filter(name => /^[0-9a-f-]{36}\./.test(name));

/** Returns the files of uploads in flight. */
async function incoming() {
  const folders = (await readdir(folder)).filter(name => name.startsWith("channel-uploads-"));
  const files = await Promise.all(folders.map(async name => (await readdir(join(folder, name))).map(file => join(folder, name, file))));
  return files.flat().filter(path => path.includes("/upload-"));
}

/** Waits until `count` uploads are in flight; only the disk shows that. */
async function remain(count) {
  let there;
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    there = await incoming();
    if (there.length === count) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${PATIENCE} ms: ${count} are there, but ${there.join(", ")}`);
}

test("files of every size are stored byte for byte, several at once", async () => {
  const page = await Harbour.opens(browser, server.url);
  await page.screenshot("uploads-empty");
  const sizes = { "none.txt": 0, "one.txt": 1, "chunk.txt": CHUNK, "more.txt": CHUNK + 1, "huge.zip": HUGE };
  await page.chooses(...await Promise.all(Object.entries(sizes).map(([name, size]) => source(name, size))));
  await page.reaches("huge.zip", 5);
  await page.screenshot("uploads-on-their-way");
  for (const [name, size] of Object.entries(sizes)) {
    const { headers, body } = await page.fetches(name);
    assert.ok(body.equals(content(size)), name);
    assert.equal(headers["content-type"], "application/octet-stream");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["content-disposition"], "attachment");
  }
  const stored = await Promise.all((await kept()).map(name => stat(join(folder, name))));
  assert.deepEqual(stored.map(({ size }) => size).sort((a, b) => a - b), [0, 1, CHUNK, CHUNK + 1, HUGE]);
  assert.ok(stored.every(({ mode }) => (mode & 0o777) === 0o600), "nobody else can read them");
  assert.deepEqual(await incoming(), []);
  assert.deepEqual(page.errors, []);
});

test("an image is shown when it is there, and large when it is clicked", async () => {
  const page = await Harbour.opens(browser, server.url, { colorScheme: "dark" });
  await page.chooses(await source("sea.png", png(320, 200, [16, 130, 140])), await source("sand.png", png(200, 200, [230, 190, 120])));
  const thumb = (await page.shows("sea.png", "done")).locator(".thumb img");
  await thumb.waitFor();
  assert.equal(await thumb.evaluate(image => image.naturalWidth), 320);
  assert.equal((await page.fetches("sea.png")).headers["content-type"], "image/png");
  await page.shows("sand.png", "done");
  await page.screenshot("uploads-images-dark");
  await page.clicks("sea.png", "thumb");
  await page.page.locator("#viewer[open] img").waitFor();
  await page.page.keyboard.press("Escape");
  await page.page.locator("#viewer:not([open])").waitFor({ state: "attached" });
  assert.deepEqual(page.errors, []);
});

test("what is dropped anywhere on the page is taken, and what cannot be is said in words", async () => {
  const page = await Harbour.opens(browser, server.url);
  await page.drops(
    ["note.txt", "text/plain", 5],
    ["program.exe", "application/x-msdownload", 5],
    ["film.mp4", "video/mp4", 100_000_001],
    ["fake.png", "image/png", 500],
    ["page.html", "text/html", 5],
  );
  await page.keeps("note.txt");
  for (const [name, words] of [
    ["program.exe", "Files of this type are not taken"],
    ["film.mp4", "Too large: at most 100 MB"],
    ["fake.png", "The name is that of an image, the content is not"],
    ["page.html", "Files of this type are not taken"],
  ]) {
    await page.shows(name, "failed");
    await page.says(name, words);
  }
  const names = await page.page.locator("#list .name").allTextContents();
  assert.deepEqual(names, ["note.txt", "program.exe", "film.mp4", "fake.png", "page.html"], "as they were chosen");
  await page.screenshot("uploads-errors");
  assert.equal((await kept()).length, 1);
  await page.page.click("#clear");
  await page.page.waitForFunction(() => !document.querySelector("#list .file"));
  await page.drops(...Array.from({ length: 22 }, (_, n) => [`${n}.txt`, "text/plain", 1]));
  await page.shows("21.txt", "failed");
  await page.says("21.txt", "Too many files: at most 20 at once");
  await page.shows("19.txt", "done");
  assert.deepEqual(page.errors, []);
});

test("a file that is cancelled leaves nothing, and one that is paused goes on", async () => {
  const page = await Harbour.opens(browser, wire.url);
  // The limit is too low for either file to finish.
  wire.hold(BIG);
  await page.chooses(await source("big.zip", BIG), await source("other.zip", BIG));
  await page.reaches("big.zip", 10);
  await page.reaches("other.zip", 10);
  await page.clicks("other.zip", "pause");
  await page.shows("other.zip", "paused");
  await page.clicks("big.zip", "cancel");
  wire.release();
  await remain(1);
  const before = await page.reaches("other.zip", 10);
  const rest = BIG * (1 - before / 100);
  const { sent } = wire;
  wire.hold(Math.floor(rest / 2));
  await page.clicks("other.zip", "resume");
  await page.shows("other.zip", "uploading");
  await page.reaches("other.zip", before + 1);
  wire.release();
  assert.ok((await page.fetches("other.zip")).body.equals(content(BIG)));
  assert.ok(wire.sent - sent < rest + MORE, `it does not begin anew: ${wire.sent - sent} bytes for ${rest}`);
  assert.equal(await page.row("big.zip").count(), 0);
  assert.deepEqual([(await kept()).length, await incoming()], [1, []]);
  assert.deepEqual(page.errors, []);
});

test("an upload goes on after a broken connection, and sends nothing again that was there", async () => {
  const page = await Harbour.opens(browser, wire.url);
  const { sent } = wire;
  wire.hold(BIG / 2);
  await page.chooses(await source("big.zip", BIG));
  await page.reaches("big.zip", 30);
  wire.down();
  await page.shows("big.zip", "waiting");
  await page.says("big.zip", "Connection lost; going on when it is back");
  await page.screenshot("uploads-connection-lost");
  wire.release();
  wire.up();
  assert.ok((await page.fetches("big.zip")).body.equals(content(BIG)));
  assert.ok(wire.sent - sent < BIG + MORE, `${wire.sent - sent} bytes were sent`);
  assert.deepEqual(complaints(page), []);
});

test("a server that is killed leaves files that its next start sweeps, and the page begins anew", async () => {
  const page = await Harbour.opens(browser, wire.url);
  wire.hold(BIG / 2);
  await page.chooses(await source("big.zip", BIG));
  await page.reaches("big.zip", 30);
  assert.equal(await server.stop("SIGKILL"), "SIGKILL");
  const [left] = await incoming();
  assert.ok((await stat(left)).size > 0);
  await page.is("offline");
  wire.release();
  server = await Server.start("uploads", { env: { UPLOADS_DIR: folder } });
  assert.ok(!(await incoming()).includes(left), "it is swept before the server listens");
  wire.leadsTo(server.port);
  await page.keeps("big.zip");
  const [name, ...others] = await kept();
  assert.deepEqual(others, []);
  assert.ok((await readFile(join(folder, name))).equals(content(BIG)));
  assert.deepEqual(await incoming(), []);
  assert.deepEqual(complaints(page), []);
});

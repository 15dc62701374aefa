// Tests LiveView's own uploader, unmodified, against a channel of ours.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";

import { NEWEST, answer, connect, disconnectAll } from "../support/client.mjs";
import { content, file } from "../support/files.mjs";
import { LivePage } from "../support/live-view.mjs";
import { Server } from "../support/server.mjs";
import { Wire } from "../support/wire.mjs";
import { within } from "../support/within.mjs";

const CHUNK = 64_000;

let server;
let wire;
let albums = 0;

before(async () => {
  server = await Server.start("reference");
  wire = await Wire.to(server.port);
});
after(async () => {
  await wire.close();
  await server.stop();
});
afterEach(() => disconnectAll());

async function open(name = "photos", options = {}) {
  const socket = await connect(NEWEST, wire.url.replace("http:", "ws:") + "/uploads");
  return LivePage.open(socket, `album:${++albums}`, name, options);
}

const stored = page => page.events.filter(([event]) => event === "stored").map(([, file]) => file);
const closed = page => page.events.filter(([event]) => event === "closed").map(([, { name, why }]) => `${name}: ${why}`);

const has = (page, entry, percent) => page.progress.some(([ref, progress]) => ref === entry.ref && progress >= percent);

/** Waits until `files` files are stored, and reads them. */
async function read(page, files) {
  await page.until(() => stored(page).length === files, `${files} files are stored`);
  return Object.fromEntries(await Promise.all(stored(page).map(async ({ name, path }) => [name, await readFile(path)])));
}

/** If a handler takes a file at once, its entry is removed, which this client calls cancelled. */
const done = entries => entries.map(entry => entry.isDone());
const ends = entries => entries.map(entry => [entry.isDone(), entry.isCancelled()]);
/** The channel's events about a file may arrive before the answer to its last chunk. */
const allDone = (page, entries) => page.until(() => entries.every(entry => entry.isDone()), "the entries are done");
const complete = entries => within(entries.completed, "the uploader is done");

describe("what arrives", () => {
  for (const size of [1, CHUNK - 1, CHUNK, CHUNK + 1, 5_000_000]) {
    test(`a file of ${size} bytes is stored byte for byte`, async () => {
      const page = await open();
      const entries = await page.upload(file("one.bin", size));
      await complete(entries);
      const files = await read(page, 1);
      assert.ok(files["one.bin"].equals(content(size)));
      assert.deepEqual(done(entries), [true]);
      await page.until(() => page.state.active_refs.length === 0, "the entry goes");
      assert.deepEqual([page.state.errors, page.logged], [[], []]);
    });
  }

  test("several files at once are each stored", async () => {
    const page = await open();
    const sizes = [10, CHUNK, 300_000, 2 * CHUNK, 700_001];
    const entries = await page.upload(...sizes.map(size => file(`${size}.bin`, size)));
    await complete(entries);
    const files = await read(page, sizes.length);
    sizes.forEach(size => assert.ok(files[`${size}.bin`].equals(content(size)), `${size}`));
    assert.deepEqual(done(entries), sizes.map(() => true));
  });

  test("files that wait for a handler are taken when it asks for them", async () => {
    const page = await open("documents");
    const entries = await page.upload(
      new File(["first of all"], "a.txt", { type: "text/plain" }),
      new File(["and the second"], "b.txt", { type: "text/plain" }),
    );
    await complete(entries);
    assert.deepEqual([page.state.done_refs.length, ends(entries)], [2, [[true, false], [true, false]]]);
    const saved = await answer(page.channel.push("save", {}));
    assert.deepEqual(saved, { status: "ok", response: ["first of all", "and the second"] });
    await page.until(() => page.state.active_refs.length === 0, "the entries go");
  });
});

describe("what does not", () => {
  test("a file that the server drops in the middle ends cancelled, and the others go on", async () => {
    const page = await open();
    const [slow, other] = await page.upload(file("slow.bin", 5 * CHUNK), file("other.bin", 3 * CHUNK));
    await page.until(() => has(page, slow, 40), "two chunks are there");
    assert.deepEqual(await answer(page.channel.push("drop", slow.ref)), { status: "ok", response: true });
    await page.until(() => !page.state.active_refs.includes(slow.ref), "the entry goes");
    assert.deepEqual(ends([slow]), [[true, true]]);
    await answer(page.channel.push("release", page.channel.topic));
    await page.until(() => closed(page).includes("slow.bin: cancel"), "its writer is closed");
    const files = await read(page, 1);
    assert.ok(files["other.bin"].equals(content(3 * CHUNK)));
    await allDone(page, [other]);
  });

  for (const [at, end] of [["init_error", []], ["write_error", ["error"]], ["close_error", ["done"]], ["write_panic", ["error"]]]) {
    test(`a writer's ${at} stays with its entry, pending until that goes`, async () => {
      const page = await open();
      const [bad, good] = await page.upload(file(`${at}.bin`, 2 * CHUNK), file("good.bin", 2 * CHUNK));
      await page.until(() => page.state.error_refs.includes(bad.ref), "the error is shown");
      const cause = at === "write_panic" ? "writer_failure" : "as_asked";
      assert.deepEqual(page.state.errors, [[bad.ref, { reason: "writer_failure", cause }]]);
      await read(page, 1);
      const expected = end.map(why => `${at}.bin: ${why}`);
      const ended = () => closed(page).filter(line => line.startsWith(at));
      await page.until(() => ended().length === expected.length, "its writer is closed");
      assert.deepEqual(ended(), expected);
      await allDone(page, [good]);
      assert.deepEqual(ends([bad]), [[false, false]]);
      const cancel = { ref: page.state.ref, entry_ref: bad.ref };
      assert.equal((await answer(page.channel.push("upload_cancel", cancel))).status, "ok");
      await page.until(() => page.state.active_refs.length === 0, "the entry goes");
      assert.deepEqual(ends([bad]), [[true, true]]);
    });
  }

  test("what is too large or of another type is refused in the answer, and the rest is sent", async () => {
    const page = await open();
    const text = file("notes.txt", 5, { type: "text/plain" });
    const entries = await page.upload(file("huge.bin", 10_000_001), text, file("fine.bin", 5));
    const [huge, notes, fine] = entries;
    assert.deepEqual(entries.response.errors, { [huge.ref]: ["too_large"], [notes.ref]: ["not_accepted"] });
    await read(page, 1);
    await allDone(page, [fine]);
    assert.deepEqual(ends([huge, notes]), [[true, true], [true, true]]);
  });

  test("where files are not sent by themselves, one that is wrong holds up the others", async () => {
    const page = await open("documents");
    const entries = await page.upload(file("a.txt", 1_001, { type: "text/plain" }), file("b.txt", 5, { type: "text/plain" }));
    assert.deepEqual(entries.response.error, [[entries[0].ref, "too_large"]]);
    assert.deepEqual(page.state.preflighted_refs, []);
  });

  test("a file that its handler refuses has the error, though the client has sent it", async () => {
    const page = await open();
    const entries = await page.upload(file("refuse.bin", 5));
    await page.until(() => page.state.error_refs.length > 0, "the error is shown");
    assert.deepEqual(page.state.errors, [[entries[0].ref, "not nice"]]);
    await allDone(page, entries);
  });

  test("an upload that stalls is closed, and ends cancelled", async () => {
    const page = await open("snapshots");
    // The next chunk is never read, as in a frozen page.
    const { readAsArrayBuffer } = window.FileReader.prototype;
    let reads = 0;
    window.FileReader.prototype.readAsArrayBuffer = function (blob) {
      if (++reads <= 2) readAsArrayBuffer.call(this, blob);
    };
    try {
      const [entry] = await page.upload(file("stalls.bin", 5 * CHUNK));
      await page.until(() => entry.isCancelled(), "the entry is cancelled");
      await page.until(() => closed(page).includes("stalls.bin: cancel"), "its writer is closed");
      assert.deepEqual(ends([entry]), [[true, true]]);
    } finally {
      window.FileReader.prototype.readAsArrayBuffer = readAsArrayBuffer;
    }
  });

  test("a connection that breaks is reported, and the upload is not resumed", async () => {
    const page = await open();
    const [slow] = await page.upload(file("slow.bin", 5 * CHUNK));
    await page.until(() => has(page, slow, 40), "two chunks are there");
    const { ref } = page.state;
    wire.cut();
    await page.until(() => page.state.ref !== ref, "the page is back");
    assert.deepEqual(page.progress.at(-1), [slow.ref, { error: { source: "transport", reason: "connection_closed" } }]);
    assert.deepEqual(page.state.active_refs, []);
    await answer(page.channel.push("release", page.channel.topic));
    const again = await page.upload(file("after.bin", CHUNK));
    await complete(again);
    const files = await read(page, 1);
    assert.ok(files["after.bin"].equals(content(CHUNK)));
  });
});

describe("what goes elsewhere", () => {
  const elsewhere = act => ({ uploaders: { Elsewhere: entries => entries.forEach(act) } });
  const video = name => file(name, 100, { type: "video/mp4" });

  test("a file is done when its uploader says so and the server has verified it", async () => {
    const metas = [];
    const page = await open("videos", elsewhere(entry => {
      metas.push(entry.meta);
      entry.progress(40);
      entry.progress(100);
    }));
    const entries = await page.upload(video("a.mp4"));
    await complete(entries);
    await page.until(() => stored(page).length === 1, "the channel has it");
    assert.deepEqual(metas, [{ uploader: "Elsewhere", url: "/elsewhere/a.mp4" }]);
    assert.deepEqual(stored(page), [{ name: "a.mp4", path: "/elsewhere/a.mp4" }]);
    assert.deepEqual(done(entries), [true]);
  });

  test("a file that is not there, or that its uploader gives up, is an error", async () => {
    const page = await open("videos", elsewhere(entry => {
      if (entry.file.name === "lost.mp4") entry.progress(100);
      else entry.error("offline");
    }));
    const [lost, failed] = await page.upload(video("lost.mp4"), video("failed.mp4"));
    await page.until(() => page.state.errors.length === 2, "both errors are shown");
    assert.deepEqual(page.state.errors, [[lost.ref, "not there"], [failed.ref, { reason: "external_client_failure", cause: "offline" }]]);
  });
});

// Tests how our own client resumes after a break or a pause, and the chunks it has in flight.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { NEWEST, answer, connect, disconnectAll, join } from "../support/client.mjs";
import { content, file } from "../support/files.mjs";
import { Server } from "../support/server.mjs";
import { UploadPage } from "../support/upload-page.mjs";
import { Wire } from "../support/wire.mjs";
import { within } from "../support/within.mjs";

const CHUNK = 64_000;

let server;
let wire;
const open = (...args) => UploadPage.open({ server, wire }, ...args);

before(async () => {
  server = await Server.start("reference");
  wire = await Wire.to(server.port);
});
after(async () => {
  await wire.close();
  await server.stop();
});
afterEach(() => disconnectAll());

const SIZE = 60 * CHUNK;

/** Waits for the answer to one more message. */
const turn = page => answer(page.channel.push("release", "nobody"));

/** Collects the offsets of the chunks that are sent. */
function watch(file) {
  const offsets = [];
  const slice = file.slice.bind(file);
  file.slice = (from, to) => {
    offsets.push(from);
    return slice(from, to);
  };
  return offsets;
}

for (const how of ["cut", "cutUnnoticed"]) {
  test(`an upload goes on where it was when the connection is back (${how})`, async () => {
    const page = await open();
    const big = file("big.bin", SIZE);
    const offsets = watch(big);
    const [entry] = page.uploads.add([big]);
    await page.until(() => entry.sent >= 10 * CHUNK, "a part of it is there");
    wire[how]();
    await page.is(entry, "waiting");
    assert.deepEqual(entry.error, { reason: "connection_lost" });
    const before = entry.sent;
    const read = offsets.length;
    await page.is(entry, "done");
    assert.ok((await page.read("big.bin")).equals(content(SIZE)));
    assert.ok(Math.min(...offsets.slice(read)) >= before, "nothing is sent again that was answered");
  });
}

test("a file whose last answer was lost is not sent again", async () => {
  const page = await open();
  const before = wire.sent;
  const [entry] = page.uploads.add([file("slow.bin", 3 * CHUNK)]);
  await page.until(() => entry.sent === 2 * CHUNK, "two chunks are there");
  wire.deafen();
  await within(wire.carries(before + 2.5 * CHUNK), "the third is on its way");
  // Messages arrive in order: the answer below shows that this one has arrived.
  page.channel.push("release", "album:arrived");
  const other = await join(await connect(NEWEST, server.socket("/uploads")), "album:arrived");
  assert.equal((await answer(other.push("hold", {}))).status, "ok");
  await page.release();
  wire.cut();
  await page.is(entry, "waiting");
  const sent = wire.sent;
  await page.until(() => entry.taken, "the channel has it");
  assert.equal(entry.status, "done");
  assert.ok(wire.sent - sent < CHUNK, `${wire.sent - sent} bytes were sent`);
});

test("an upload is paused and goes on where it was", async () => {
  const page = await open();
  const big = file("big.bin", SIZE);
  const [entry] = page.uploads.add([big]);
  await page.until(() => entry.sent >= 10 * CHUNK, "a part of it is there");
  page.uploads.pause(entry);
  assert.equal(entry.status, "paused");
  await page.until(() => page.uploads.config.active_refs.length === 0, "the server has put it aside");
  const before = entry.sent;
  const offsets = watch(big);
  page.uploads.resume(entry);
  await page.is(entry, "done");
  assert.ok(offsets[0] >= before);
  assert.ok((await page.read("big.bin")).equals(content(SIZE)));
});

test("a paused upload stays paused when the connection is back", async () => {
  const page = await open();
  const [entry] = page.uploads.add([file("big.bin", SIZE)]);
  await page.until(() => entry.sent >= CHUNK, "a part of it is there");
  page.uploads.pause(entry);
  wire.cut();
  await page.until(() => !page.uploads.config, "the connection is lost");
  await page.until(() => page.uploads.config, "the page is back");
  assert.equal(entry.status, "paused");
  page.uploads.resume(entry);
  await page.is(entry, "done");
  assert.ok((await page.read("big.bin")).equals(content(SIZE)));
});

test("files chosen while there is no connection are sent when it is back", async () => {
  const page = await open();
  wire.cut();
  await page.until(() => !page.uploads.config, "the connection is lost");
  const [entry] = page.uploads.add([file("late.bin", 5)]);
  await page.is(entry, "done");
  assert.ok((await page.read("late.bin")).equals(content(5)));
});

test("a write that takes too long is tried again, and the next try waits for it", async () => {
  const page = await open("snapshots");
  const [entry] = page.uploads.add([file("slow.bin", 3 * CHUNK)]);
  await page.is(entry, "waiting");
  assert.deepEqual(entry.error, { reason: "stalled" });
  await page.release();
  await page.is(entry, "done");
  assert.ok((await page.read("slow.bin")).equals(content(3 * CHUNK)));
});

test("what the server does not wait for goes on, though the next chunk is sent before its client hears of that", async () => {
  const page = await open("snapshots");
  const big = file("big.bin", 10 * CHUNK);
  const slice = big.slice.bind(big);
  let readOn;
  const held = new Promise(resolve => { readOn = resolve; });
  big.slice = (from, to) => {
    const part = slice(from, to);
    return from === 2 * CHUNK ? { arrayBuffer: () => held.then(() => part.arrayBuffer()) } : part;
  };
  const [entry] = page.uploads.add([big]);
  await page.until(() => entry.sent === 2 * CHUNK, "two chunks are there");
  wire.freeze();
  await within(wire.holdsBack("phx_close"), "the server does not wait for the third");
  const { sent } = wire;
  readOn();
  await within(wire.carries(sent + CHUNK / 2), "the third is on its way");
  wire.thaw();
  await page.is(entry, "done");
  assert.ok((await page.read("big.bin")).equals(content(10 * CHUNK)));
});

test("a file that was paused and is cancelled leaves nothing", async () => {
  const page = await open();
  const [entry] = page.uploads.add([file("big.bin", SIZE)]);
  await page.until(() => entry.sent >= CHUNK, "a part of it is there");
  page.uploads.pause(entry);
  await page.until(() => page.uploads.config.active_refs.length === 0, "the server has put it aside");
  assert.deepEqual(page.closed, []);
  page.uploads.cancel(entry);
  await page.until(() => page.closed.length === 1, "its writer is closed");
  assert.deepEqual(page.closed, [{ name: "big.bin", why: "cancel" }]);
});

test("a file that is paused and cancelled in one breath leaves nothing", async () => {
  const page = await open();
  const [entry] = page.uploads.add([file("slow.bin", SIZE)]);
  await page.until(() => entry.sent === 2 * CHUNK, "two chunks are there");
  page.uploads.pause(entry);
  page.uploads.cancel(entry);
  await page.release();
  await page.until(() => page.closed.length === 1, "its writer is closed");
  assert.deepEqual(page.closed, [{ name: "slow.bin", why: "cancel" }]);
});

test("a file that is cancelled while there is no connection is given up when it is back", async () => {
  const page = await open();
  const [entry] = page.uploads.add([file("big.bin", SIZE)]);
  await page.until(() => entry.sent >= CHUNK, "a part of it is there");
  wire.down();
  await page.is(entry, "waiting");
  page.uploads.cancel(entry);
  wire.up();
  await page.until(() => page.closed.length === 1, "its writer is closed");
  assert.deepEqual(page.closed, [{ name: "big.bin", why: "cancel" }]);
  assert.deepEqual(page.uploads.entries, []);
});

/** Replaces the server's answer to joins of uploads; returns the events sent to their channels. */
function forge(page, answer) {
  const events = [];
  const channel = page.socket.channel.bind(page.socket);
  page.socket.channel = (...args) => {
    const upload = channel(...args);
    const [join, push] = [upload.join.bind(upload), upload.push.bind(upload)];
    upload.push = (event, ...rest) => {
      events.push(event);
      return push(event, ...rest);
    };
    upload.join = () => {
      const joining = join();
      const receive = joining.receive.bind(joining);
      joining.receive = (status, heard) => receive(status, reply => heard(status === "ok" ? answer(reply) : reply));
      return joining;
    };
    return upload;
  };
  return events;
}

test("as many chunks are on their way as the server takes, and one more is read", async () => {
  const page = await open();
  const events = forge(page, reply => reply);
  const slow = file("slow.bin", 9 * CHUNK);
  const offsets = watch(slow);
  const { sent } = wire;
  const [entry] = page.uploads.add([slow]);
  await page.until(() => entry.sent === 2 * CHUNK, "two chunks are there");
  await within(wire.carries(sent + 4 * CHUNK), "two more are sent");
  await turn(page);
  assert.deepEqual(offsets.map(offset => offset / CHUNK), [0, 1, 2, 3, 4]);
  assert.ok(wire.sent - sent < 5 * CHUNK, `${wire.sent - sent} bytes were sent`);
  await page.release();
  await page.is(entry, "done");
  assert.ok((await page.read("slow.bin")).equals(content(9 * CHUNK)));
  assert.deepEqual(events, Array(9).fill("chunk_at"), "each says where it belongs");
});

test("a client that sends more than the server takes loses nothing by it", async () => {
  const page = await open();
  forge(page, reply => ({ ...reply, window: 10 }));
  const [entry] = page.uploads.add([file("big.bin", SIZE)]);
  assert.ok((await page.read("big.bin")).equals(content(SIZE)));
  await page.is(entry, "done");
});

test("a server that says nothing of a window gets one chunk after the other", async () => {
  const page = await open();
  const events = forge(page, ({ window, ...reply }) => reply);
  const slow = file("slow.bin", 5 * CHUNK);
  const offsets = watch(slow);
  const { sent } = wire;
  const [entry] = page.uploads.add([slow]);
  await page.until(() => entry.sent === 2 * CHUNK, "two chunks are there");
  await within(wire.carries(sent + 2.5 * CHUNK), "the third is on its way");
  await turn(page);
  assert.deepEqual(offsets.map(offset => offset / CHUNK), [0, 1, 2, 3]);
  await page.release();
  await page.is(entry, "done");
  assert.ok((await page.read("slow.bin")).equals(content(5 * CHUNK)));
  assert.deepEqual(events, Array(5).fill("chunk"));
});

// Tests every version of the official client over its long-poll transport.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { NEWEST, VERSIONS, answer, buffer, bytes, connect, disconnectAll, events, happens, join, library } from "../support/client.mjs";
import { Server } from "../support/server.mjs";
import { suite } from "../support/suite.mjs";
import { abortAll, install } from "../support/xhr.mjs";

install();

/** 1.2 expects messages as objects; servers send them as strings since then. */
const POLLING = VERSIONS.filter(version => version !== "1.2");

/** Close code of a lost session, by the first version of the client that detects one. */
const GONE = { "1.8": 3410 };

const libraries = Object.fromEntries(await Promise.all(POLLING.map(async version => [version, await library(version)])));
const transport = version => libraries[version].LongPoll;

let server;
let rooms = 0;
const room = () => `room:${++rooms}`;
const polling = (options = {}) => connect(NEWEST, server.socket(), { transport: transport(NEWEST), ...options });

before(async () => { server = await Server.start("reference"); });
after(() => server.stop());
afterEach(() => {
  disconnectAll();
  abortAll();
});

for (const version of POLLING) {
  const options = { transport: transport(version) };
  suite(version, () => server, { over: " over long-poll", options, closeCode: GONE[version] });
}

describe("long-poll", () => {
  test("a ping is answered before any join", async () => {
    const socket = await polling();
    const took = await happens(callback => socket.ping(callback), "the ping is answered");
    assert.ok(took >= 0);
  });

  test("more pushes than one request may hold arrive, in order", async () => {
    const channel = await join(await polling(), room());
    const mailbox = events(channel, "new_msg");
    const numbers = [...Array(250).keys()];
    numbers.forEach(n => channel.push("new_msg", { body: String(n) }));
    for (const n of numbers) assert.deepEqual(await mailbox.next(), ["new_msg", { body: String(n) }]);
  });

  test("bytes go up as such, and come down as base64", async () => {
    const topic = room();
    const [poller, other] = [await join(await polling(), topic), await join(await connect(NEWEST, server.socket()), topic)];
    const mailboxes = [events(poller, "bin_cast"), events(other, "bin_cast")];
    const data = [0, 10, 13, 34, 127, 128, 254, 255];
    const base64 = Buffer.from(data).toString("base64");
    for (const from of [poller, other]) {
      from.push("bin_cast", buffer(data));
      assert.deepEqual(await mailboxes[0].next(), ["bin_cast", { base64 }]);
      assert.deepEqual(bytes((await mailboxes[1].next())[1]), data);
    }
    assert.deepEqual(await answer(poller.push("bin_echo", buffer(data))), { status: "ok", response: { base64 } });
    const joined = (await polling()).channel("room:binjoin", {});
    assert.deepEqual(await answer(joined.join()), { status: "ok", response: { base64: "AQID" } });
  });

  test("an auth token is the user", async () => {
    const topic = room();
    const socket = await connect(NEWEST, server.socket("/auth"), { transport: transport(NEWEST), authToken: "ann" });
    const channel = await join(socket, topic);
    const mailbox = events(channel, "secret");
    channel.push("secret", {});
    assert.deepEqual(await mailbox.next(), ["secret", { seen_by: "ann" }]);
  });

  test("polls in vain keep a session", async () => {
    let inVain = 0;
    let enough = () => {};
    class Polling extends transport(NEWEST) {
      poll() {
        super.poll();
        if (++inVain === 3) enough();
      }
    }
    const socket = await connect(NEWEST, server.socket("/idle"), { transport: Polling });
    // A session that ends because the machine stalled proves nothing: the count starts again.
    const anew = () => { inVain = 0; };
    socket.onMessage(anew);
    socket.onOpen(anew);
    const channel = await join(socket, room());
    await happens(callback => { enough = callback; }, "three polls of one session in vain");
    assert.equal((await answer(channel.push("ack", {}))).status, "ok");
  });

  test("an orderly shutdown ends the session, and the client goes on trying", async () => {
    const other = await Server.start("reference");
    const socket = await connect(NEWEST, other.socket(), { transport: transport(NEWEST) });
    await join(socket, room());
    const closed = happens(callback => socket.onClose(callback), "the socket closes");
    const ended = other.stop("SIGTERM");
    assert.notEqual((await closed).code, 1000);
    socket.disconnect();
    assert.equal(await ended, 0);
  });
});

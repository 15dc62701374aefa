// Tests that the client falls back to long polling when WebSockets are blocked.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { NEWEST, answer, create, disconnectAll, events, happens, join } from "../support/client.mjs";
import { BlockingProxy } from "../support/proxy.mjs";
import { Server } from "../support/server.mjs";
import { PATIENCE } from "../support/within.mjs";

let server;
let proxy;

before(async () => {
  server = await Server.start("reference");
  proxy = await BlockingProxy.to(server.url);
});
after(async () => {
  proxy.close();
  await server.stop();
});
afterEach(disconnectAll);

async function falling(url) {
  const storage = new Map();
  const sessionStorage = {
    getItem: key => storage.get(key) ?? null,
    setItem: (key, value) => storage.set(key, String(value)),
    removeItem: key => storage.delete(key),
  };
  const socket = await create(NEWEST, url, { longPollFallbackMs: PATIENCE / 2, sessionStorage });
  const opened = happens(callback => socket.onOpen(callback), "the socket opens");
  socket.connect();
  await opened;
  return socket;
}

test("where upgrades are refused, the client polls, and messages flow both ways", async () => {
  const blocked = await falling(`${proxy.url.replace("http:", "ws:")}/socket`);
  const free = await falling(server.socket());
  const [ann, bob] = [await join(blocked, "room:fallback"), await join(free, "room:fallback")];
  assert.equal(blocked.conn.constructor.name, "LongPoll");
  assert.ok(proxy.refused > 0 && proxy.polls > 0, "it has tried");
  assert.notEqual(free.conn.constructor.name, "LongPoll");

  const mailboxes = [events(ann, "new_msg"), events(bob, "new_msg")];
  for (const [channel, body] of [[ann, "from a poll"], [bob, "from a WebSocket"]]) {
    channel.push("new_msg", { body });
    for (const mailbox of mailboxes) assert.deepEqual(await mailbox.next(), ["new_msg", { body }]);
  }
  assert.deepEqual(await answer(ann.push("ping", { a: 1 })), { status: "ok", response: { a: 1 } });
});

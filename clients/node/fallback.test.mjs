// The client that finds its way to a WebSocket blocked, and polls instead.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { request } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { NEWEST, answer, create, disconnectAll, events, happens, join } from "../support/client.mjs";
import { Server } from "../support/server.mjs";

let server;
let proxy;

/** A proxy that refuses every upgrade, as some do, and passes the rest on. */
function proxyTo(target) {
  const proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const passed = request(new URL(url, target), { method, headers }, response => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  proxy.refused = 0;
  proxy.on("upgrade", (_, socket) => {
    proxy.refused += 1;
    socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
  });
  return new Promise(resolve => proxy.listen(0, "127.0.0.1", () => resolve(proxy)));
}

before(async () => {
  server = await Server.start("reference");
  proxy = await proxyTo(server.url);
});
after(async () => {
  proxy.closeAllConnections();
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
  const socket = await create(NEWEST, url, { longPollFallbackMs: 500, sessionStorage });
  const opened = happens(callback => socket.onOpen(callback), "the socket opens");
  socket.connect();
  await opened;
  return socket;
}

test("where upgrades are refused, the client polls, and messages flow both ways", async () => {
  const blocked = await falling(`ws://127.0.0.1:${proxy.address().port}/socket`);
  const free = await falling(server.socket());
  const [ann, bob] = [await join(blocked, "room:fallback"), await join(free, "room:fallback")];
  assert.equal(blocked.conn.constructor.name, "LongPoll");
  assert.ok(proxy.refused > 0, "it has tried");
  assert.notEqual(free.conn.constructor.name, "LongPoll");

  const inboxes = [events(ann, "new_msg"), events(bob, "new_msg")];
  for (const [channel, body] of [[ann, "from a poll"], [bob, "from a WebSocket"]]) {
    channel.push("new_msg", { body });
    for (const inbox of inboxes) assert.deepEqual(await inbox.next(), ["new_msg", { body }]);
  }
  assert.deepEqual(await answer(ann.push("ping", { a: 1 })), { status: "ok", response: { a: 1 } });
});

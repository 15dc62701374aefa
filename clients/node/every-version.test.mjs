// What every version of the official client must be able to do.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { VERSIONS, connect, disconnectAll, happens } from "../support/client.mjs";
import { Server } from "../support/server.mjs";
import { suite } from "../support/suite.mjs";

let server;

before(async () => { server = await Server.start("reference"); });
after(() => server.stop());
afterEach(disconnectAll);

for (const version of VERSIONS) suite(version, () => server, { closeCode: 1001 });

test("heartbeats of every version keep a connection that would be closed as idle", async () => {
  await Promise.all(VERSIONS.map(async version => {
    const socket = await connect(version, server.socket("/idle"), { heartbeatIntervalMs: 1000 });
    let closed = false;
    socket.onClose(() => { closed = true; });
    let beats = 0;
    await happens(callback => socket.onMessage(({ topic }) => {
      if (topic === "phoenix" && ++beats === 5) callback();
    }), "five heartbeats are answered");
    assert.equal(closed, false, version);
  }));
});

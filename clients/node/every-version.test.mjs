// What every version of the official client must be able to do.

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
    // Five seconds on one connection, which has three without them. One on which a heartbeat was
    // late, because this machine stood still, says nothing: the next is counted from its start.
    let beats = 0;
    socket.onClose(() => { beats = 0; });
    await happens(callback => socket.onMessage(({ topic }) => {
      if (topic === "phoenix" && ++beats === 5) callback();
    }), `phoenix ${version}: five heartbeats are answered on one connection`);
  }));
});

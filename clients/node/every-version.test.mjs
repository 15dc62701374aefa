// Tests the features that every version of the official client supports.

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
    // The server closes a connection after three seconds without heartbeats. This one must last for
    // five. A late heartbeat of a stalled machine closes it: then the count starts again.
    let beats = 0;
    socket.onClose(() => { beats = 0; });
    await happens(callback => socket.onMessage(({ topic }) => {
      if (topic === "phoenix" && ++beats === 5) callback();
    }), `phoenix ${version}: five heartbeats are answered on one connection`);
  }));
});

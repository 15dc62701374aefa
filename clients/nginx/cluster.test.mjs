// Tests the example `cluster` behind nginx, where each request may go to the other node.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { NEWEST, answer, connect, disconnectAll, events, join, library } from "../support/client.mjs";
import { Cluster } from "../support/cluster.mjs";

let cluster;
let LongPoll;

before(async () => {
  ({ LongPoll } = await library(NEWEST));
  cluster = await Cluster.start();
});
after(() => cluster?.stop());
afterEach(disconnectAll);

const client = (name, options = {}) => connect(NEWEST, cluster.socket(), { params: { name }, ...options });
const poller = name => client(name, { transport: LongPoll });

test("a session is reached through both nodes, and closes no socket", async () => {
  const socket = await poller("ann");
  let closed = 0;
  socket.onClose(() => { closed += 1; });
  const room = await join(socket, "room:lobby");
  const mailbox = events(room, "said");
  const passed = await cluster.passed();
  for (let n = 0; n < 40; n += 1) {
    const { status } = await answer(room.push("say", { body: `${n}` }));
    assert.equal(status, "ok");
    const [, { body }] = await mailbox.next();
    assert.equal(body, `${n}`);
  }
  const since = (await cluster.passed()).map((requests, node) => requests - passed[node]);
  assert.ok(since.every(requests => requests > 10), `requests to the nodes: ${since}`);
  assert.equal(closed, 0);
});

test("clients that poll and clients with a WebSocket hear each other, each once and in order", async () => {
  const sockets = await Promise.all([poller("ann"), poller("bob"), client("cat"), client("dan")]);
  const rooms = await Promise.all(sockets.map(socket => join(socket, "room:talk")));
  const mailboxes = rooms.map(room => events(room, "said"));
  for (let n = 0; n < 20; n += 1) {
    const speaker = n % rooms.length;
    assert.equal((await answer(rooms[speaker].push("say", { body: `${n}` }))).status, "ok");
    for (const mailbox of mailboxes) {
      const [, { body, from }] = await mailbox.next();
      assert.deepEqual([body, from], [`${n}`, ["ann", "bob", "cat", "dan"][speaker]]);
    }
  }
});

test("a large message goes up and comes down", async () => {
  const room = await join(await poller("ann"), "room:large");
  const mailbox = events(room, "said");
  for (let n = 0; n < 4; n += 1) {
    const body = `${n}`.repeat(500_000);
    room.push("say", { body });
    const [, said] = await mailbox.next();
    assert.ok(said.body === body);
  }
});

// Tests the features of newer clients, with the newest of them.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { NEWEST, answer, buffer, bytes, connect, disconnectAll, events, happens, join } from "../support/client.mjs";
import { Server } from "../support/server.mjs";

let server;
let rooms = 0;
const room = () => `room:${++rooms}`;
const client = (options = {}) => connect(NEWEST, server.socket(), options);
/** Connects a client to the socket whose channels can block each other. */
const albums = () => connect(NEWEST, server.socket("/uploads"));

before(async () => { server = await Server.start("reference"); });
after(() => server.stop());
afterEach(disconnectAll);

for (const version of ["1.6", "1.7", NEWEST]) {
  describe(`phoenix ${version}: binary`, () => {
    const joined = async (topic = room()) => join(await connect(version, server.socket()), topic);

    test("a reply has the bytes that were sent, and its status", async () => {
      const channel = await joined();
      const data = [0, 1, 127, 128, 254, 255];
      for (const [event, expected] of [["bin_echo", "ok"], ["bin_fail", "error"]]) {
        const { status, response } = await answer(channel.push(event, buffer(data)));
        assert.deepEqual([status, bytes(response)], [expected, data]);
      }
    });

    test("no bytes are bytes too, and so is a mebibyte", async () => {
      const channel = await joined();
      for (const size of [0, 1 << 20]) {
        const { status, response } = await answer(channel.push("bin_echo", new ArrayBuffer(size)));
        assert.deepEqual([status, response.byteLength], ["ok", size]);
      }
    });

    test("a binary broadcast reaches everybody", async () => {
      const topic = room();
      const [ann, bob] = [await joined(topic), await joined(topic)];
      const mailboxes = [events(ann, "bin_cast"), events(bob, "bin_cast")];
      ann.push("bin_cast", buffer([7, 200]));
      for (const mailbox of mailboxes) assert.deepEqual(bytes((await mailbox.next())[1]), [7, 200]);
    });

    test("a binary push arrives", async () => {
      const channel = await joined();
      const mailbox = events(channel, "pushed_bin");
      channel.push("push_bin", buffer([0, 255]));
      assert.deepEqual(bytes((await mailbox.next())[1]), [0, 255]);
    });

    test("a join may be answered with bytes", async () => {
      const channel = (await connect(version, server.socket())).channel("room:binjoin", {});
      const { status, response } = await answer(channel.join());
      assert.deepEqual([status, bytes(response)], ["ok", [1, 2, 3]]);
    });
  });
}

describe("one socket", () => {
  test("a ping is answered before any join", async () => {
    const socket = await client();
    const took = await happens(callback => socket.ping(callback), "the ping is answered");
    assert.ok(took >= 0);
  });

  test("a silent client is closed as idle, and comes back", async () => {
    const socket = await connect(NEWEST, server.socket("/idle"));
    const closed = happens(callback => socket.onClose(callback), "the idle socket closes");
    const { code } = await closed;
    assert.notEqual(code, 1000);
    await happens(callback => socket.onOpen(callback), "the socket opens again");
  });

  // 1.3 relies on the server to end the first channel; newer versions leave it themselves.
  for (const version of ["1.3", NEWEST]) {
    test(`phoenix ${version}: the second channel of a topic takes the place of the first`, async () => {
      const socket = await connect(version, server.socket());
      const topic = room();
      const first = await join(socket, topic);
      const closed = happens(callback => first.onClose(callback), "the first channel closes");
      const second = await join(socket, topic);
      await closed;
      const mailbox = events(second, "new_msg");
      second.push("new_msg", { body: "once" });
      second.push("new_msg", { body: "twice" });
      assert.deepEqual(await mailbox.next(), ["new_msg", { body: "once" }]);
      assert.deepEqual(await mailbox.next(), ["new_msg", { body: "twice" }]);
    });
  }

  test("the 101st channel is refused, until one of the others is left", async () => {
    const socket = await client();
    const channels = await Promise.all([...Array(100)].map(() => join(socket, room())));
    const late = socket.channel(room(), {});
    const joined = happens(callback => late.on("pushed", callback), "the late channel is joined after all");
    const refused = await answer(late.join());
    assert.deepEqual(refused, { status: "error", response: { reason: "too many channels joined" } });
    // The client retries the join by itself, and sends this push after the join.
    late.push("push_back", {});
    channels[0].leave();
    await joined;
  });

  test("a slow channel holds up neither the others nor the heartbeat", async () => {
    const socket = await albums();
    const [slow, quick] = [await join(socket, "album:slow"), await join(socket, "album:quick")];
    let over = false;
    const held = answer(slow.push("hold", {})).then(result => { over = true; return result; });
    await happens(callback => socket.ping(callback), "the ping is answered");
    assert.equal(over, false);
    // The slow channel continues only after this push.
    assert.equal((await answer(quick.push("release", "album:slow"))).status, "ok");
    assert.deepEqual(await held, { status: "ok", response: {} });
  });

  test("a slow join does not hold up another", async () => {
    const socket = await albums();
    let joined = false;
    const slow = join(socket, "album:shut").then(() => { joined = true; });
    const quick = await join(socket, "album:quick");
    assert.equal(joined, false);
    // The slow join succeeds only after this push.
    assert.equal((await answer(quick.push("release", "album:shut"))).status, "ok");
    await slow;
  });

  test("a join that crashes is refused, and the socket lives", async () => {
    const socket = await client();
    const channel = socket.channel("room:crash_join", {});
    const { status, response } = await answer(channel.join());
    assert.deepEqual([status, response], ["error", { reason: "join crashed" }]);
    channel.leave();
    await join(socket, room());
  });

  test("a frame over the limit closes its socket only, with 1009", async () => {
    const [small, other] = [await connect(NEWEST, server.socket("/small")), await client()];
    const channel = await join(small, room());
    const closed = happens(callback => small.onClose(callback), "the socket closes");
    channel.push("ping", { text: "x".repeat(2000) });
    assert.equal((await closed).code, 1009);
    await join(other, room());
  });
});

test("an orderly shutdown tells its clients to come back, with 1012", async () => {
  const other = await Server.start("reference");
  const socket = await connect(NEWEST, other.socket());
  await join(socket, room());
  const closed = happens(callback => socket.onClose(callback), "the socket closes");
  const ended = other.stop("SIGTERM");
  assert.equal((await closed).code, 1012);
  socket.disconnect();
  assert.equal(await ended, 0);
});

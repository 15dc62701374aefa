// Tests the features that every version of the client supports, over every transport.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { answer, connect, create, events, happens, join } from "./client.mjs";

let rooms = 0;
const room = () => `room:${++rooms}`;

/**
 * Defines the tests of a version of the client. `over` names the transport that `options` choose;
 * `closeCode` is the code of a disconnect by the server, if the client then connects again.
 */
export function suite(version, server, { over = "", options = {}, closeCode } = {}) {
  const client = user => connect(version, server().socket(), { ...options, params: user ? { user } : {} });
  const joined = async (topic = room(), user = undefined) => join(await client(user), topic);

  describe(`phoenix ${version}${over}: joins`, () => {
    test("an accepted join has its response", async () => {
      const socket = await client();
      assert.deepEqual(await answer(socket.channel("room:7", {}).join()), { status: "ok", response: { id: "7" } });
      assert.deepEqual(await answer(socket.channel("room:lobby", {}).join()), { status: "ok", response: {} });
    });

    test("a refused join has its reason", async () => {
      const channel = (await client()).channel(room(), { token: "bad" });
      const { status, response } = await answer(channel.join());
      assert.deepEqual([status, response], ["error", { reason: "unauthorized" }]);
      channel.leave();
    });

    test("a topic of no channel is unmatched", async () => {
      const channel = (await client()).channel("nobody:here", {});
      const { status, response } = await answer(channel.join());
      assert.deepEqual([status, response], ["error", { reason: "unmatched topic" }]);
      channel.leave();
    });

    test("a push right after the join arrives", async () => {
      const topic = `room:welcome:${++rooms}`;
      const channel = (await client()).channel(topic, {});
      const mailbox = events(channel, "welcome");
      channel.join();
      assert.deepEqual(await mailbox.next(), ["welcome", { topic }]);
    });

    test("a refused connect is an error, not a connection", async () => {
      const socket = await create(version, server().socket(), { ...options, params: { deny: "reason" } });
      const failed = happens(callback => socket.onError(callback), "the socket fails");
      socket.connect();
      await failed;
      assert.equal(socket.isConnected(), false);
    });

    test("a topic may be long and hold anything", async () => {
      const topic = `room:${"🔥 ünï ".repeat(43)}`;
      const channel = await joined(topic);
      assert.deepEqual(await answer(channel.push("ping", { a: 1 })), { status: "ok", response: { a: 1 } });
    });
  });

  describe(`phoenix ${version}${over}: pushes`, () => {
    test("a reply has its status and its response", async () => {
      const channel = await joined();
      const payload = { text: "hé 🔥", list: [1, null, { deep: true }], big: 9007199254740991 };
      assert.deepEqual(await answer(channel.push("ping", payload)), { status: "ok", response: payload });
      assert.deepEqual(await answer(channel.push("ack", {})), { status: "ok", response: {} });
      assert.deepEqual(await answer(channel.push("fail", {})), { status: "error", response: { reason: "nope" } });
      assert.deepEqual(await answer(channel.push("status", {})), { status: "teapot", response: { a: 1 } });
    });

    test("a push that nobody answers times out", async () => {
      const channel = await joined();
      const { status } = await answer(channel.push("new_msg", { body: "hi" }, 100));
      assert.equal(status, "timeout");
    });

    test("a reply may come later, from another task", async () => {
      const channel = await joined();
      assert.deepEqual(await answer(channel.push("async", {})), { status: "ok", response: { async: true } });
    });

    test("what the server asks is answered by an ordinary push", async () => {
      const channel = await joined();
      channel.on("question", ({ question }, ref) => channel.push(`reply:${ref}`, { echo: question }));
      const asked = ["one", "two"].map(question => answer(channel.push("ask", question)));
      const answers = (await Promise.all(asked)).map(({ response }) => response);
      assert.deepEqual(answers, [{ echo: "one" }, { echo: "two" }]);
    });

    test("pushes are answered in order, each its own", async () => {
      const channel = await joined();
      const numbers = [...Array(50).keys()];
      const answers = await Promise.all(numbers.map(n => answer(channel.push("ping", { n }))));
      assert.deepEqual(answers.map(({ response }) => response.n), numbers);
    });

    test("an event that nobody handles is an error, and the channel lives", async () => {
      const channel = await joined();
      const unknown = await answer(channel.push("no_such_event", {}));
      assert.deepEqual(unknown, { status: "error", response: { reason: "unknown event" } });
      assert.equal((await answer(channel.push("ack", {}))).status, "ok");
    });

    test("a payload that does not fit is an error that names the field", async () => {
      const channel = await joined();
      const { status, response } = await answer(channel.push("sleep", { ms: "soon" }));
      assert.deepEqual([status, response.reason, response.field], ["error", "invalid payload", "ms"]);
      assert.equal((await answer(channel.push("ack", {}))).status, "ok");
    });
  });

  describe(`phoenix ${version}${over}: broadcasts`, () => {
    test("a broadcast reaches everybody in the room, the sender too", async () => {
      const topic = room();
      const [ann, bob] = [await joined(topic), await joined(topic)];
      const mailboxes = [events(ann, "new_msg"), events(bob, "new_msg")];
      ann.push("new_msg", { body: "hello" });
      for (const mailbox of mailboxes) assert.deepEqual(await mailbox.next(), ["new_msg", { body: "hello" }]);
    });

    test("broadcast_from leaves the sender out", async () => {
      const topic = room();
      const [ann, bob] = [await joined(topic), await joined(topic)];
      const mailboxes = [events(ann, "from_msg", "pushed"), events(bob, "from_msg")];
      assert.equal((await answer(ann.push("from_msg", { body: "psst" }))).status, "ok");
      assert.equal((await mailboxes[1].next())[0], "from_msg");
      // A client receives messages in order, so nothing was sent before this.
      ann.push("push_back", {});
      assert.equal((await mailboxes[0].next())[0], "pushed");
    });

    test("a push goes to its client only, and before the reply that follows it", async () => {
      const channel = await joined();
      const order = [];
      channel.on("pushed", () => order.push("push"));
      await answer(channel.push("push_then_reply", { a: 1 }).receive("ok", () => order.push("reply")));
      assert.deepEqual(order, ["push", "reply"]);
    });

    test("an intercepted broadcast is rewritten for each client", async () => {
      const topic = room();
      const [ann, bob] = [await joined(topic, "ann"), await joined(topic, "bob")];
      const mailboxes = [events(ann, "secret"), events(bob, "secret")];
      ann.push("secret", { word: "swordfish" });
      assert.deepEqual(await mailboxes[0].next(), ["secret", { word: "swordfish", seen_by: "ann" }]);
      assert.deepEqual(await mailboxes[1].next(), ["secret", { word: "swordfish", seen_by: "bob" }]);
    });

    test("another room hears nothing", async () => {
      const socket = await client();
      const [one, other] = [await join(socket, room()), await join(socket, room())];
      const mailbox = events(other, "new_msg", "pushed");
      one.push("new_msg", { body: "hi" });
      await answer(one.push("ack", {}));
      other.push("push_back", {});
      assert.equal((await mailbox.next())[0], "pushed");
    });
  });

  describe(`phoenix ${version}${over}: ends`, () => {
    test("a channel that crashes is joined again by itself", async () => {
      const socket = await client();
      const [channel, other] = [socket.channel(room(), {}), await join(socket, room())];
      const twice = new Promise(resolve => {
        let times = 0;
        channel.join().receive("ok", () => { if (++times === 2) resolve(); });
      });
      const failed = happens(callback => channel.onError(callback), "the channel fails");
      channel.push("crash", {});
      await failed;
      assert.equal((await answer(other.push("ack", {}))).status, "ok");
      await happens(callback => twice.then(callback), "the channel is joined again");
      assert.deepEqual(await answer(channel.push("ping", { a: 2 })), { status: "ok", response: { a: 2 } });
    });

    test("a channel that stops is closed", async () => {
      const channel = await joined();
      const closed = happens(callback => channel.onClose(callback), "the channel closes");
      channel.push("stop", {});
      await closed;
    });

    test("a reply that stops the channel arrives before the close", async () => {
      const channel = await joined();
      const closed = happens(callback => channel.onClose(callback), "the channel closes");
      assert.deepEqual(await answer(channel.push("stop_reply", {})), { status: "ok", response: { bye: true } });
      await closed;
    });

    test("a topic that was left can be joined again", async () => {
      const socket = await client();
      const topic = room();
      const channel = await join(socket, topic);
      const closed = happens(callback => socket.onMessage(({ event }) => event === "phx_close" && callback()), "the server closes the channel");
      assert.equal((await answer(channel.leave())).status, "ok");
      await closed;
      const again = await join(socket, topic);
      assert.equal((await answer(again.push("ack", {}))).status, "ok");
    });

    // Older clients that poll mistake the new session for the old one.
    if (closeCode === undefined) return;
    test("after the server's disconnect the client comes back and joins again", async () => {
      const user = `bob-${version}${over}`.replaceAll(" ", "-");
      const socket = await client(user);
      const channel = await join(socket, room());
      const gone = happens(callback => socket.onClose(callback), "the socket closes");
      await server().post(`/disconnect?id=users:${user}`);
      const close = await gone;
      assert.equal(close.code, closeCode);
      // Sent while the connection is gone, so it waits for the new one.
      const mailbox = events(channel, "new_msg");
      assert.deepEqual(await answer(channel.push("ping", { a: 3 })), { status: "ok", response: { a: 3 } });
      channel.push("new_msg", { body: "back" });
      assert.deepEqual(await mailbox.next(), ["new_msg", { body: "back" }]);
    });
  });
}

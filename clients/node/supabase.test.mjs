// Tests a version 1 client that sends join refs: Supabase's (its newest speak version 2).

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { RealtimeChannel, RealtimeClient } from "@supabase/realtime-js";
import WebSocket from "ws";

import { Server } from "../support/server.mjs";
import { PATIENCE, within } from "../support/within.mjs";

let server;
let rooms = 0;
const room = () => `room:supabase:${++rooms}`;
const clients = new Set();
const channels = new Set();

before(async () => { server = await Server.start("reference"); });
after(() => server.stop());
afterEach(() => {
  // The clients leave the timers of unanswered pushes running, which keeps the process alive.
  channels.forEach(channel => {
    channel.joinPush.destroy();
    channel.rejoinTimer.reset();
  });
  clients.forEach(client => client.disconnect());
  channels.clear();
  clients.clear();
});

/** Creates a client, and a function that waits for the first message that fits a predicate. */
function create() {
  const client = new RealtimeClient(server.socket(), {
    transport: WebSocket, timeout: PATIENCE, reconnectAfterMs: () => 20,
  });
  clients.add(client);
  const messages = [];
  let more = () => {};
  client.stateChangeCallbacks.message.push(message => {
    messages.push(message);
    more();
  });
  const arrives = async (what, fits) => {
    const found = new Promise(resolve => {
      more = () => {
        const message = messages.find(fits);
        if (message) resolve(message);
      };
      more();
    });
    return within(found, what);
  };
  return { client, arrives };
}

/** Creates a channel with the topic as given; `client.channel` would add a prefix. */
function channel(client, topic) {
  const made = new RealtimeChannel(topic, { config: {} }, client);
  client.channels.push(made);
  channels.add(made);
  const statuses = [];
  let more = () => {};
  const status = expected => within(new Promise(resolve => {
    more = () => { if (statuses.includes(expected)) resolve(); };
    more();
  }), `${expected} is reported`);
  const subscribe = () => made.subscribe(now => {
    statuses.push(now);
    more();
  });
  return { made, statuses, status, subscribe };
}

/** Sends a ping with a channel's `join_ref`, and returns the reply. */
async function ping(client, arrives, topic, join_ref) {
  const ref = client._makeRef();
  client.push({ topic, event: "ping", payload: { ref }, ref, join_ref });
  return (await arrives("the ping is answered", message => message.ref === ref)).payload;
}

test("a channel is joined, answered and left", async () => {
  const { client, arrives } = create();
  const topic = room();
  const { made, status, subscribe } = channel(client, topic);
  subscribe();
  await status("SUBSCRIBED");
  const answer = await ping(client, arrives, topic, made._joinRef());
  assert.equal(answer.status, "ok");
  assert.equal(await within(made.unsubscribe(), "it is left"), "ok");
  const closed = await arrives("phx_close comes", ({ event }) => event === "phx_close");
  assert.equal(closed.ref, made._joinRef());
  await status("CLOSED");
});

test("a second channel object of one topic does not hear of the end of the first", async () => {
  const { client, arrives } = create();
  const topic = room();
  const [first, second] = [channel(client, topic), channel(client, topic)];
  first.subscribe();
  await first.status("SUBSCRIBED");
  // The client leaves the first channel, and does not wait for the reply.
  second.subscribe();
  const [old, join] = [first.made._joinRef(), second.made._joinRef()];
  const joined = await arrives("the second is joined", ({ ref, event }) => ref === join && event === "phx_reply");
  assert.equal(joined.payload.status, "ok");
  const closed = await arrives("the first is closed", ({ event }) => event === "phx_close");
  assert.equal(closed.ref, old);
  assert.deepEqual(second.statuses.filter(status => status === "CLOSED"), []);
});

test("a leave of a join that is over leaves the next one alone", async () => {
  const { client, arrives } = create();
  const topic = room();
  const { made, status, subscribe } = channel(client, topic);
  subscribe();
  await status("SUBSCRIBED");
  const old = made._joinRef();
  made._rejoin();
  const join = made._joinRef();
  assert.notEqual(join, old);
  await arrives("it is joined again", ({ ref, event }) => ref === join && event === "phx_reply");

  client.push({ topic, event: "phx_leave", payload: {}, ref: client._makeRef(), join_ref: old });
  const answer = await ping(client, arrives, topic, join);
  assert.equal(answer.status, "ok", JSON.stringify(answer));
});

test("a crash is the channel's that crashed, which joins again", async () => {
  const { client, arrives } = create();
  const topic = room();
  const { made, status, subscribe } = channel(client, topic);
  made.rejoinTimer.timerCalc = () => 20;
  subscribe();
  await status("SUBSCRIBED");
  const old = made._joinRef();
  client.push({ topic, event: "crash", payload: {}, ref: client._makeRef(), join_ref: old });
  const crashed = await arrives("phx_error comes", ({ event }) => event === "phx_error");
  assert.equal(crashed.ref, old);
  await arrives("it joins again", ({ topic: of, event, ref }) => of === topic && event === "phx_reply" && ref !== old);
  const answer = await ping(client, arrives, topic, made._joinRef());
  assert.equal(answer.status, "ok");
});

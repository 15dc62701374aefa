// Tests that nothing is lost when the client sends far ahead of its channel on a busy machine.

import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, afterEach, before, describe, test } from "node:test";
import { Worker } from "node:worker_threads";

import { NEWEST, answer, connect, disconnectAll, events, happens, join, library } from "../support/client.mjs";
import { Server } from "../support/server.mjs";
import { within } from "../support/within.mjs";
import { abortAll, install } from "../support/xhr.mjs";

install();

const MESSAGES = 10_000;
/** Deadline for all answers, in milliseconds, on a busy machine. */
const LONG = 300_000;
const SPIN = "for (;;);";

const { LongPoll } = await library(NEWEST);
let server;
let spinners = [];
let rooms = 0;
const room = () => `room:burst:${++rooms}`;

before(async () => {
  server = await Server.start("reference");
  spinners = [...Array(availableParallelism())].map(() => new Worker(SPIN, { eval: true }));
});
after(async () => {
  await Promise.all(spinners.map(spinner => spinner.terminate()));
  await server.stop();
});
afterEach(() => {
  disconnectAll();
  abortAll();
});

/** Pushes all at once; resolves to the answers in their order of arrival. */
function pushAll(channel, event, payload) {
  const answers = [];
  return within(new Promise(resolve => {
    const take = (n, status) => response => {
      answers.push({ n, status, response });
      if (answers.length === MESSAGES) resolve(answers);
    };
    for (let n = 0; n < MESSAGES; n += 1) {
      const push = channel.push(event, payload(n), LONG);
      ["ok", "error", "timeout"].forEach(status => push.receive(status, take(n, status)));
    }
  }), "all are answered", LONG);
}

const inOrder = answers => {
  assert.deepEqual(answers.filter(({ status }) => status !== "ok"), []);
  answers.forEach(({ n, response }, place) => assert.deepEqual([n, response], [place, { n: place }]));
};

for (const [over, options] of [["WebSocket", {}], ["long-poll", { transport: LongPoll }]]) {
  const client = () => connect(NEWEST, server.socket(), { timeout: LONG, ...options });

  describe(`ten thousand messages at once over ${over}, with all cores busy`, () => {
    test("pings are answered, all of them and in order", async () => {
      const channel = await join(await client(), room());
      inOrder(await pushAll(channel, "ping", n => ({ n })));
    });

    test("broadcasts arrive, all of them and in order", async () => {
      const channel = await join(await client(), room());
      const arrived = [];
      await within(new Promise(resolve => {
        channel.on("new_msg", ({ body }) => {
          arrived.push(Number(body));
          if (arrived.length === MESSAGES) resolve();
        });
        for (let n = 0; n < MESSAGES; n += 1) channel.push("new_msg", { body: String(n) }, LONG);
      }), "all arrive", LONG);
      assert.deepEqual(arrived, [...Array(MESSAGES).keys()]);
    });

    test("a handler that sleeps loses none, and holds up neither another channel nor a heartbeat", async () => {
      const socket = await client();
      const [slow, quick] = [await join(socket, room()), await join(socket, room())];
      const slept = answer(slow.push("sleep", { ms: 2_000 }, LONG));
      const all = pushAll(slow, "ping", n => ({ n }));
      const mailbox = events(quick, "pushed");
      quick.push("push_back", {});
      await mailbox.next();
      await happens(callback => socket.ping(callback), "the ping is answered");
      assert.equal((await slept).status, "ok");
      inOrder(await all);
    });
  });
}

// Tests clients that send all chunks without waiting for answers.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { NEWEST, answer, connect, disconnectAll } from "../support/client.mjs";
import { Server } from "../support/server.mjs";
import { within } from "../support/within.mjs";

const CHUNK = 64_000;
const CLIENTS = 60;
/** Number of chunks that each client sends while its writer waits. */
const AHEAD = 60;

let server;

before(async () => {
  server = await Server.start("reference");
});
after(() => server.stop("SIGKILL"));
afterEach(() => disconnectAll());

/** Joins the channel of a file whose writer waits at its third chunk. */
async function begin(album) {
  const socket = await connect(NEWEST, server.socket("/uploads"));
  const owner = socket.channel(album, {});
  const state = new Promise(resolve => {
    owner.on("upload_state", state => { if (state.name === "photos") resolve(state); });
  });
  await answer(owner.join());
  const { ref } = await within(state, "the upload is shown");
  const file = { ref: "0", name: "slow.bin", size: 9_000_000, type: "" };
  const { response } = await answer(owner.push("allow_upload", { ref, entries: [file] }));
  const upload = socket.channel("lvu:0", { token: response.entries["0"] });
  await answer(upload.join());
  return upload;
}

const options = { skip: process.platform !== "linux" && "only Linux says what a program takes" };

test("less than four chunks of each are in the server's memory, and the rest is refused", options, async () => {
  const uploads = [];
  for (let n = 0; n < CLIENTS; n++) uploads.push(await begin(`album:flood-${n}`));
  const chunk = new ArrayBuffer(CHUNK);
  for (const upload of uploads) {
    for (const _ of [1, 2]) assert.equal((await answer(upload.push("chunk", chunk))).status, "ok");
  }
  const before = await server.memory();
  const refused = uploads.map(upload => new Promise(resolve => {
    let count = 0;
    for (let n = 0; n < AHEAD; n++) {
      upload.push("chunk", chunk).receive("error", ({ reason }) => {
        assert.equal(reason, "channel overloaded");
        // Two stay unanswered: one is being written, and one waits.
        if (++count === AHEAD - 2) resolve();
      });
    }
  }));
  await within(Promise.all(refused), "all but two of each are refused");
  const each = (await server.memory() - before) / CLIENTS / CHUNK;
  assert.ok(each < 4, `${each.toFixed(2)} chunks of each are in memory`);
});

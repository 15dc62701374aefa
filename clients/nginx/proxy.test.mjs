// Tests the example `tls` behind nginx: redirects, WebSockets, a restart of the application.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, afterEach, before, test } from "node:test";

import WebSocket from "ws";

import { NEWEST, answer, connect, disconnectAll, events, happens, join } from "../support/client.mjs";
import { Nginx } from "../support/nginx.mjs";
import { freePort } from "../support/port.mjs";
import { Server } from "../support/server.mjs";
import { within } from "../support/within.mjs";

let folder, ca, port, server, nginx;

const application = () => Server.start("tls", { port, env: { BEHIND_PROXY: "1" } });

before(async () => {
  folder = await mkdtemp(path(tmpdir(), "proxy-"));
  const [certificate, key] = [path(folder, "cert.pem"), path(folder, "key.pem")];
  // The example creates the certificate and the key when it starts.
  const maker = await Server.start("tls", { env: { TLS_PORT: "0", CERT: certificate, KEY: key } });
  await maker.stop();
  ca = await readFile(certificate);
  port = await freePort();
  server = await application();
  nginx = await Nginx.start(port, { certificate, key });
});
after(async () => {
  await nginx?.stop();
  await server?.stop();
  await rm(folder, { recursive: true });
});
afterEach(disconnectAll);

/** Returns the status and headers of a GET. */
function get(url, headers = {}) {
  const { request } = url.startsWith("https:") ? https : http;
  const answered = new Promise((resolve, reject) => {
    const asked = request(url, { ca, headers, agent: false }, response => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    asked.once("error", reject);
    asked.end();
  });
  return within(answered, `GET ${url}`);
}

const plain = () => `http://localhost:${nginx.plain}`;
const secure = () => `https://localhost:${nginx.secure}`;

/** A WebSocket that trusts the certificate. */
class Trusting extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { ca });
  }
}

const client = () => connect(NEWEST, `wss://localhost:${nginx.secure}/socket`, { transport: Trusting });

test("plain HTTP is sent to HTTPS, whatever a client says of itself", async () => {
  for (const headers of [{}, { "x-forwarded-proto": "https" }, { "x-forwarded-host": "evil.com" }]) {
    const { status, headers: { location } } = await get(`${plain()}/a?b=c`, headers);
    assert.deepEqual([status, location], [301, "https://localhost/a?b=c"]);
  }
});

test("HTTPS is answered, and told to stay", async () => {
  const { status, headers } = await get(`${secure()}/`);
  assert.deepEqual([status, headers["strict-transport-security"]], [200, "max-age=31536000"]);
});

test("a socket over plain HTTP is sent away", async () => {
  const socket = new WebSocket(`ws://localhost:${nginx.plain}/socket/websocket?vsn=2.0.0`);
  socket.on("error", () => {});
  const refused = await happens(callback => socket.once("unexpected-response", (_, response) => callback(response)), "it is refused");
  assert.equal(refused.statusCode, 301);
  socket.terminate();
});

test("two clients talk through the proxy", async () => {
  const channels = await Promise.all([1, 2].map(async () => join(await client(), "room:1")));
  const mailboxes = channels.map(channel => events(channel, "new_msg"));
  const { status } = await answer(channels[0].push("new_msg", { body: "hi" }));
  assert.equal(status, "ok");
  for (const mailbox of mailboxes) assert.deepEqual(await mailbox.next(), ["new_msg", { body: "hi" }]);
});

test("a restart of the application reaches clients as 1012, and they come back", async () => {
  const socket = await client();
  const channel = await join(socket, "room:1");
  const closed = happens(callback => socket.onClose(callback), "the socket closes");
  const opened = happens(callback => socket.onOpen(callback), "the socket opens again");
  const ended = server.stop();
  assert.equal((await closed).code, 1012);
  assert.equal(await ended, 0);
  server = await application();
  await opened;
  const { status } = await answer(channel.push("new_msg", { body: "again" }));
  assert.equal(status, "ok");
});

// Wraps the official client in promises, each with a deadline.

import WebSocket from "ws";

import { PATIENCE, within } from "./within.mjs";

/** The client's versions; 1.2 speaks version 1 of the protocol. */
export const VERSIONS = ["1.2", "1.3", "1.6", "1.7", "1.8"];
export const NEWEST = "1.8";

const SOON = () => 20;
const STATUSES = ["ok", "error", "teapot", "timeout"];

const open = new Set();
/** Pushes whose timers may keep the process alive: not every push is answered. */
const pushes = new Set();

/** Connects a client of a version, and waits until it is open. */
export async function connect(version, url, { params = {}, ...options } = {}) {
  const socket = await create(version, url, { params, ...options });
  const opened = happens(callback => socket.onOpen(callback), "the socket opens");
  socket.connect();
  await opened;
  return socket;
}

/** Imports the exports of a version. */
export const library = version => import(version === NEWEST ? "phoenix" : `phoenix-${version}`);

/** Creates a client that is not connected yet. */
export async function create(version, url, options) {
  const { Socket } = await library(version);
  const socket = new Socket(url, {
    transport: WebSocket,
    // A slow server must not count as one that does not answer.
    timeout: PATIENCE,
    longpollerTimeout: PATIENCE,
    reconnectAfterMs: SOON,
    rejoinAfterMs: SOON,
    ...options,
  });
  open.add(socket);
  const channel = socket.channel.bind(socket);
  socket.channel = (...words) => remember(channel(...words));
  return socket;
}

function remember(channel) {
  const push = channel.push.bind(channel);
  pushes.add(channel.joinPush);
  channel.push = (...words) => {
    const pushed = push(...words);
    pushes.add(pushed);
    return pushed;
  };
  return channel;
}

/** Ends all clients, as every test does when it is over. */
export function disconnectAll() {
  open.forEach(socket => {
    socket.disconnect();
    // Old versions leave their timers running, which keeps the process alive.
    clearInterval(socket.heartbeatTimer);
    [socket, ...socket.channels].forEach(one => (one.reconnectTimer ?? one.rejoinTimer)?.reset());
  });
  open.clear();
  pushes.forEach(push => push.cancelTimeout());
  pushes.clear();
}

/** Passes a callback to `hook`; resolves when it is called. */
export function happens(hook, what, ms) {
  return within(new Promise(resolve => hook(resolve)), what, ms);
}

/** Resolves to the answer to a push, with any status. */
export function answer(push) {
  const any = new Promise(resolve => {
    STATUSES.forEach(status => push.receive(status, response => resolve({ status, response })));
  });
  return within(any, "the push is answered");
}

/** Joins a topic, and fails if the join is refused. */
export async function join(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  const { status, response } = await answer(channel.join());
  if (status !== "ok") throw new Error(`join of ${topic}: ${status} ${JSON.stringify(response)}`);
  return channel;
}

/** Collects the events of a channel from now on, in order. */
export function events(channel, ...names) {
  const arrived = [];
  const waiting = [];
  const take = event => {
    const next = waiting.shift();
    if (next) next(event);
    else arrived.push(event);
  };
  names.forEach(name => channel.on(name, payload => take([name, payload])));
  return {
    next: () => within(new Promise(resolve => {
      const event = arrived.shift();
      if (event) resolve(event);
      else waiting.push(resolve);
    }), `one of ${names.join(", ")} arrives`),
  };
}

export const bytes = buffer => [...new Uint8Array(buffer)];
export const buffer = numbers => new Uint8Array(numbers).buffer;

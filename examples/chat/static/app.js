// Exchanges messages with the server; view.js draws the page.

import { View } from "./view.js";

const FIRST_ROOMS = ["lobby", "music", "random"];
const TYPING_EVERY_MS = 1500;

const view = new View();
const rooms = new Map();
const muted = new Set();

let socket;
let me;
let active;
let previous;
let typedAt = 0;

function enter(name) {
  me = name.trim();
  sessionStorage.setItem("name", me);
  view.enter(me);
  socket = new window.Phoenix.Socket("/socket", {
    params: { name: me },
    // The client falls back to long polling if WebSockets are blocked.
    longPollFallbackMs: 2500,
    reconnectAfterMs: tries => [200, 500, 1000][tries - 1] ?? 2000,
    rejoinAfterMs: tries => [200, 500, 1000][tries - 1] ?? 2000,
  });
  socket.onOpen(() => view.status("online"));
  socket.onClose(() => view.status("offline"));
  socket.connect();
  FIRST_ROOMS.forEach(name => view.offer(name));
  show(location.hash.slice(1) || FIRST_ROOMS[0]);
}

/** Shows a room, and joins it first where that is new. */
function show(name) {
  if (!rooms.has(name)) join(name);
  if (name !== active) [previous, active] = [active, name];
  history.replaceState(null, "", `#${name}`);
  view.show(name);
}

function join(name) {
  const channel = socket.channel(`room:${name}`, () => ({ muted: [...muted] }));
  rooms.set(name, channel);
  view.open(name);
  channel.on("new_msg", message => view.message(name, message));
  channel.on("typing", ({ name: who }) => view.typing(name, who));
  channel.on("arrived", ({ name: who, people }) => view.arrived(name, who, people));
  channel.on("gone", ({ name: who, people }) => view.gone(name, who, people));
  let before = false;
  channel.join()
    .receive("ok", () => {
      // The WebSocket works, so a later outage of the server must not cause a fallback to polling.
      if (socket.transport !== window.Phoenix.LongPoll) socket.longPollFallbackMs = undefined;
      view.notice(name, before ? "You are back" : `You are in #${name}`);
      before = true;
    })
    .receive("error", refusal => {
      leave(name);
      view.problem(words(refusal));
    });
}

function leave(name) {
  rooms.get(name)?.leave();
  rooms.delete(name);
  view.close(name);
  if (active === name) show(rooms.has(previous) ? previous : rooms.keys().next().value ?? FIRST_ROOMS[0]);
}

function say(body) {
  rooms.get(active)
    .push("new_msg", { body })
    .receive("ok", () => {
      typedAt = 0;
      view.said(body);
    })
    .receive("error", refusal => view.problem(words(refusal)))
    .receive("timeout", () => view.problem("no answer from the server; is it still there?"));
}

function type() {
  const now = Date.now();
  if (!socket.isConnected() || now - typedAt < TYPING_EVERY_MS) return;
  typedAt = now;
  rooms.get(active).push("typing", {});
}

/** Mutes or unmutes a person. Each room's channel filters on its own, so each one is told. */
function mute(name, off) {
  if (off) muted.add(name);
  else muted.delete(name);
  rooms.forEach(channel => channel.push("mute", { name, muted: off }));
  view.muted(muted);
}

/** The rules of the parts of a topic; the server names the part that does not fit. */
const parameters = {
  room: "a room's name has 1 to 24 lower-case letters, digits and dashes",
};

function words({ reason, parameter, limit }) {
  const detail = parameters[parameter] ?? (limit ? `at most ${limit} characters` : "");
  return detail ? `${reason}: ${detail}` : reason;
}

view.on({ enter, show, leave, say, type, mute });

const known = sessionStorage.getItem("name");
if (known) enter(known);
else view.askName();

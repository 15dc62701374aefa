// Tests the chat where WebSockets are blocked: the page polls, and users notice no difference.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Person, complaints, launch } from "../support/browser.mjs";
import { freePort } from "../support/port.mjs";
import { BlockingProxy } from "../support/proxy.mjs";
import { Server } from "../support/server.mjs";

let browser;
let server;
let proxy;

before(async () => { browser = await launch(); });
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start("chat", { port: await freePort() });
  proxy = await BlockingProxy.to(server.url);
});

afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  proxy.close();
  await server.stop();
});

test("a page that polls and one with a WebSocket talk to each other", async () => {
  const ada = await Person.enters(browser, proxy.url, "Ada Lovelace");
  await ada.notices("You are in #lobby");
  const grace = await Person.enters(browser, server.url, "Grace Hopper");
  await ada.notices("Grace Hopper joined");
  for (const [speaker, listener, text] of [
    [ada, grace, "Is this getting through?"],
    [grace, ada, "Loud and clear."],
    [ada, grace, "<b>Good</b> to know 🔥"],
  ]) {
    await speaker.says(text);
    await listener.sees(text);
    await speaker.sees(text, { mine: true });
  }
  assert.ok(proxy.refused > 0, "it has tried a WebSocket");
  assert.ok(proxy.polls > 1, "and polls");
  assert.deepEqual([...ada.transports], ["websocket", "longpoll"]);
  await ada.opens("music");
  await ada.notices("You are in #music");
  await ada.opens("lobby");
  await grace.page.context().close();
  await ada.notices("Grace Hopper left");
  assert.deepEqual(complaints(ada), []);
  assert.deepEqual(complaints(grace), []);
});

test("a page that polls is missed when it is closed, and comes back with its server", async () => {
  const ada = await Person.enters(browser, proxy.url, "Ada Lovelace");
  await ada.notices("You are in #lobby");
  const { port } = server;
  await server.stop();
  await ada.is("offline");
  server = await Server.start("chat", { port });
  await ada.is("online");
  await ada.notices("You are back");
  const grace = await Person.enters(browser, server.url, "Grace Hopper");
  await ada.notices("Grace Hopper joined");
  await ada.says("still here");
  await grace.sees("still here");
  await ada.page.context().close();
  // The session ends when no poll arrives for one and a half times the window.
  await grace.page.locator(".log:not([hidden]) .notice", { hasText: "Ada Lovelace left" }).waitFor();
  assert.deepEqual(complaints(grace), []);
});

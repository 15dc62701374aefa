// Tests the chat as people use it: two pages of a real browser.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { Person, complaints, launch } from "../support/browser.mjs";
import { freePort } from "../support/port.mjs";
import { Server } from "../support/server.mjs";

let browser;
let server;
let ada;
let grace;

before(async () => { browser = await launch(); });
after(() => browser?.close());

beforeEach(async () => {
  server = await Server.start("chat", { port: await freePort() });
  ada = await Person.enters(browser, server.url, "Ada Lovelace");
  await ada.notices("You are in #lobby");
  grace = await Person.enters(browser, server.url, "Grace Hopper", { width: 390, height: 780, colorScheme: "dark" });
  await ada.notices("Grace Hopper joined");
});

afterEach(async () => {
  await Promise.all(browser.contexts().map(context => context.close()));
  await server.stop();
});

const nothingWentWrong = () => assert.deepEqual([...ada.errors, ...grace.errors], []);

test("two pages talk to each other", async () => {
  await ada.says("Anybody by the fire tonight?");
  await ada.sees("Anybody by the fire", { mine: true });
  await grace.sees("Anybody by the fire");
  await grace.says("Just me and a very small moth.");
  await grace.sees("a very small moth", { mine: true });
  await ada.sees("a very small moth");
  assert.equal(await ada.page.inputValue("#body"), "");
  assert.equal(await ada.page.textContent("#people"), "2 people");
  await Promise.all([ada.screenshot("lobby"), grace.screenshot("lobby-narrow-dark")]);
  nothingWentWrong();
});

test("an empty message is refused in words", async () => {
  await ada.says("   ");
  const problem = ada.page.locator("#problem");
  await problem.waitFor();
  assert.equal(await problem.textContent(), "There is nothing in this message");
  await ada.screenshot("empty-message");
  await ada.says("words, then");
  await grace.sees("words, then");
  assert.equal(await problem.isHidden(), true);
  nothingWentWrong();
});

test("what people write stays text", async () => {
  const markup = "<img src=x onerror=alert(1)><b>bold</b>";
  await grace.says(markup);
  await ada.sees(markup);
  nothingWentWrong();
});

test("who types is seen, and who leaves is missed", async () => {
  const seesTyping = await ada.looksOutFor("typing", "Grace Hopper is typing");
  await grace.page.locator("#body").pressSequentially("h");
  await seesTyping();
  await grace.page.context().close();
  await ada.notices("Grace Hopper left");
  assert.equal(await ada.page.textContent("#people"), "only you");
  nothingWentWrong();
});

test("rooms are apart, and unread messages are counted", async () => {
  await Promise.all([ada.opens("music"), grace.opens("music")]);
  await Promise.all([ada.notices("You are in #music"), grace.notices("You are in #music")]);
  await grace.opens("lobby");
  await ada.says("la la la");
  await ada.sees("la la la", { mine: true });
  await grace.page.locator('#rooms button:has-text("#music") em', { hasText: "1" }).waitFor();
  assert.equal(await grace.count("la la la"), 0);
  await grace.opens("music");
  await grace.sees("la la la");
  nothingWentWrong();
});

test("a room's name that cannot be is refused in words", async () => {
  await ada.page.fill("#open input", "not/good");
  await ada.page.keyboard.press("Enter");
  await ada.page.locator("#problem", { hasText: "lower-case letters, digits and dashes" }).waitFor();
  await ada.says("still in the lobby");
  await grace.sees("still in the lobby");
  nothingWentWrong();
});

test("a muted person is not heard, by the one who muted them", async () => {
  await grace.says("first");
  await ada.sees("first");
  await ada.page.hover(".message:not(.mine)");
  await ada.page.click(".mute");
  await ada.page.locator("#muted", { hasText: "Grace Hopper is muted" }).waitFor();
  await ada.says("now I hear nothing");
  await grace.sees("now I hear nothing");
  await grace.says("second");
  await grace.sees("second", { mine: true });
  await ada.page.click("#muted button");
  // If the second message had been delivered, it would arrive before Grace's next one.
  await ada.says("talk to me");
  await grace.sees("talk to me");
  await grace.says("third");
  await ada.sees("third");
  assert.equal(await ada.count("second"), 0);
  nothingWentWrong();
});

test("when the server comes back, so do the pages, with WebSockets", async () => {
  const { port } = server;
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const code = await server.stop(signal);
    assert.equal(code, signal === "SIGTERM" ? 0 : signal);
    await Promise.all([ada.is("offline"), grace.is("offline")]);
    await ada.screenshot("offline");
    await Promise.all([ada.triesInVain(), grace.triesInVain()]);
    const back = await Promise.all([ada, grace].map(person => person.noticed("You are back")));
    server = await Server.start("chat", { port });
    await Promise.all([ada.is("online"), grace.is("online")]);
    await Promise.all([ada, grace].map((person, at) => person.notices("You are back", back[at])));
    await ada.says(`back after ${signal}`);
    await grace.sees(`back after ${signal}`);
    await grace.says(`me too after ${signal}`);
    await ada.sees(`me too after ${signal}`);
  }
  for (const { transports } of [ada, grace]) assert.deepEqual(transports, new Set(["websocket"]));
  assert.deepEqual([...complaints(ada), ...complaints(grace)], []);
});

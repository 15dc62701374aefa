// Tests live reload with the chat: its page in Chromium reloads when a file changes.

import assert from "node:assert/strict";
import { utimes } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch } from "../support/browser.mjs";
import { freePort } from "../support/port.mjs";
import { Server } from "../support/server.mjs";
import { PATIENCE } from "../support/within.mjs";

const STYLE = fileURLToPath(new URL("../../examples/chat/static/style.css", import.meta.url));

let browser, server;

before(async () => {
  server = await Server.start("chat", { port: await freePort() });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens a page that listens for changes; returns it with the errors that it reports. */
async function open() {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = [];
  page.on("pageerror", error => errors.push(String(error)));
  const listens = page.waitForResponse(response => response.url().endsWith("/__reload/events"));
  await page.goto(server.url);
  await listens;
  return { page, errors };
}

const loads = page => page.waitForEvent("load", { timeout: PATIENCE });

test("a page reloads when the server was restarted", async () => {
  const { page, errors } = await open();
  await page.evaluate(() => { window.before = true; });
  const loaded = loads(page);
  assert.equal(await server.stop(), 0, "an open page does not hold up the end");
  server = await Server.start("chat", { port: server.port });
  await loaded;
  assert.equal(await page.evaluate(() => window.before), undefined);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test("a page reloads when a file was touched, and goes on doing so", async () => {
  const { page, errors } = await open();
  for (let times = 0; times < 2; times++) {
    const listens = page.waitForResponse(response => response.url().endsWith("/__reload/events"));
    const loaded = loads(page);
    await utimes(STYLE, new Date(), new Date());
    await loaded;
    await listens;
  }
  assert.deepEqual(errors, []);
  await page.context().close();
});

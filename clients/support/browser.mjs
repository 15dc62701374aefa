// Chromium, and the chat's page in it.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { PATIENCE, within } from "./within.mjs";

const SCREENSHOTS = fileURLToPath(new URL("../screenshots/", import.meta.url));

/** Options that keep it to this machine: no sandbox for root, and nothing fetched on its own. */
const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export async function launch() {
  await mkdir(SCREENSHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ARGUMENTS,
    timeout: PATIENCE,
  });
}

/** What Chromium itself says of each WebSocket that it cannot open. */
const NO_CONNECTION = /WebSocket connection to .* failed/;

/** What a page complained of, but for WebSockets that could not be opened. */
export const complaints = ({ errors }) => errors.filter(error => !NO_CONNECTION.test(error));

/**
 * Lets the page poll only where its way to a WebSocket is shut, and not where it is slow: it gives
 * up after seconds, and this machine may stand still for longer.
 */
function polledOnlyWhereShut(patience) {
  let library;
  Object.defineProperty(window, "Phoenix", {
    get: () => library,
    set(phoenix) {
      library = {
        ...phoenix,
        Socket: class extends phoenix.Socket {
          constructor(url, options) {
            super(url, { ...options, longPollFallbackMs: patience });
          }
        },
      };
    },
  });
}

/** One person at the chat, in a browser context of their own. */
export class Person {
  /** What the page complained of. */
  errors = [];
  /** What it has tried to connect by: `websocket`, `longpoll`. */
  transports = new Set();

  static async enters(browser, url, name, { width = 1100, height = 760, colorScheme = "light" } = {}) {
    const person = new Person();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(polledOnlyWhereShut, PATIENCE);
    const page = person.page = await context.newPage();
    page.on("pageerror", error => person.errors.push(String(error)));
    page.on("console", message => {
      if (["error", "warning"].includes(message.type())) person.errors.push(message.text());
    });
    page.on("websocket", () => person.transports.add("websocket"));
    page.on("request", request => {
      if (request.url().includes("/longpoll")) person.transports.add("longpoll");
    });
    await page.goto(url);
    await page.fill("#name", name);
    await page.keyboard.press("Enter");
    await person.is("online");
    return person;
  }

  /** Waits for the status: `online` or `offline`. */
  is(status) {
    return this.page.waitForSelector(`#status.${status}`);
  }

  /** Waits until the page next tries to connect, in vain. */
  triesInVain() {
    return this.page.waitForEvent("console", message => NO_CONNECTION.test(message.text()));
  }

  async says(text) {
    await this.page.fill("#body", text);
    await this.page.keyboard.press("Enter");
  }

  /** Waits for a message in the room that is shown; `mine` asks for one of this person's own. */
  sees(text, { mine = false } = {}) {
    const message = mine ? ".message.mine" : ".message:not(.mine)";
    return this.page.locator(`.log:not([hidden]) ${message} p`, { hasText: text }).waitFor();
  }

  /** Waits for a notice in the room that is shown, after so many `earlier` ones that say the same. */
  notices(text, earlier = 0) {
    return this.#noticed(text).nth(earlier).waitFor();
  }

  /** How many notices of a text there are. */
  noticed(text) {
    return this.#noticed(text).count();
  }

  #noticed(text) {
    return this.page.locator(".log:not([hidden]) .notice", { hasText: text });
  }

  /**
   * Looks out for a text that goes by itself: from when this resolves, and until what it resolves
   * to is called and has seen it.
   */
  async looksOutFor(id, text) {
    const seen = await this.page.evaluateHandle(([id, text]) => {
      const element = document.getElementById(id);
      const shown = new Promise(resolve => {
        new MutationObserver(() => {
          if (element.textContent.includes(text)) resolve();
        }).observe(element, { childList: true, subtree: true });
      });
      return { shown };
    }, [id, text]);
    return () => within(seen.evaluate(({ shown }) => shown), `"${text}" is seen`);
  }

  /** How often a text was said in the room that is shown. */
  count(text) {
    return this.page.locator(".log:not([hidden]) .message p", { hasText: text }).count();
  }

  opens(room) {
    return this.page.click(`#rooms button:has-text("#${room}")`);
  }

  screenshot(name) {
    return screenshot(this.page, name);
  }
}

/** What a page shows, as a file for people to look at. */
export const screenshot = (page, name) => page.screenshot({ path: `${SCREENSHOTS}${name}.png`, animations: "disabled" });

// Drives Chromium, and the chat's page in it.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { PATIENCE, within } from "./within.mjs";

const SCREENSHOTS = fileURLToPath(new URL("../screenshots/", import.meta.url));

/** Options for tests: no sandbox, so that root can run it, and no background fetches. */
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

/** The message that Chromium logs for each WebSocket that it cannot open. */
const NO_CONNECTION = /WebSocket connection to .* failed/;

/** Returns the errors of a page, without those of WebSockets that could not be opened. */
export const complaints = ({ errors }) => errors.filter(error => !NO_CONNECTION.test(error));

/**
 * Lets the page poll only if its WebSocket is blocked, not if it is slow: the client's own delay
 * is a few seconds, and a test machine may stall for longer.
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

/** A person in the chat, with a browser context of their own. */
export class Person {
  /** Errors and warnings of the page. */
  errors = [];
  /** The transports that the page has tried: `websocket`, `longpoll`. */
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

  /** Waits until the next attempt of the page to connect fails. */
  triesInVain() {
    return this.page.waitForEvent("console", message => NO_CONNECTION.test(message.text()));
  }

  async says(text) {
    await this.page.fill("#body", text);
    await this.page.keyboard.press("Enter");
  }

  /** Waits for a message in the visible room; with `mine`, for one of this person. */
  sees(text, { mine = false } = {}) {
    const message = mine ? ".message.mine" : ".message:not(.mine)";
    return this.page.locator(`.log:not([hidden]) ${message} p`, { hasText: text }).waitFor();
  }

  /** Waits for a notice in the visible room, after `earlier` notices with the same text. */
  notices(text, earlier = 0) {
    return this.#noticed(text).nth(earlier).waitFor();
  }

  /** Returns the number of notices with a text. */
  noticed(text) {
    return this.#noticed(text).count();
  }

  #noticed(text) {
    return this.page.locator(".log:not([hidden]) .notice", { hasText: text });
  }

  /**
   * Observes an element for a text that disappears by itself. Resolves once it observes, to a
   * function that waits until the text was shown.
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

  /** Returns the number of messages with a text in the visible room. */
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

/** Saves a screenshot of a page, for people to look at. */
export const screenshot = (page, name) => page.screenshot({ path: `${SCREENSHOTS}${name}.png`, animations: "disabled" });

// Drives the page of the uploads example in a browser.

import { screenshot } from "./browser.mjs";
import { PATIENCE } from "./within.mjs";

export class Harbour {
  /** Errors of the page. */
  errors = [];

  static async opens(browser, url, { width = 1000, height = 860, colorScheme = "light" } = {}) {
    const harbour = new Harbour();
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, acceptDownloads: true });
    context.setDefaultTimeout(PATIENCE);
    const page = harbour.page = await context.newPage();
    page.on("pageerror", error => harbour.errors.push(String(error)));
    page.on("console", message => {
      if (["error", "warning"].includes(message.type())) harbour.errors.push(message.text());
    });
    await page.goto(url);
    await harbour.is("online");
    return harbour;
  }

  is(status) {
    return this.page.waitForSelector(`#status.${status}`);
  }

  chooses(...files) {
    return this.page.setInputFiles("#files", files);
  }

  /** Drops files, `[name, type, size]`, on the page. */
  async drops(...files) {
    const data = await this.page.evaluateHandle(files => {
      const data = new DataTransfer();
      for (const [name, type, size] of files) data.items.add(new File([new Uint8Array(size)], name, { type }));
      return data;
    }, files);
    await this.page.dispatchEvent("body", "dragover", { dataTransfer: data });
    await this.page.dispatchEvent("body", "drop", { dataTransfer: data });
  }

  row(name) {
    return this.page.locator(".file", { has: this.page.locator(".name", { hasText: new RegExp(`^${name.replaceAll(".", "\\.")}$`) }) });
  }

  /** Waits until a file has a status, such as `done`, `failed` or `uploading`. */
  async shows(name, status) {
    const row = this.row(name);
    await row.and(this.page.locator(`[data-status="${status}"]`)).waitFor();
    return row;
  }

  /** Waits until the server keeps and serves a file; the page may hear of either first. */
  async keeps(name) {
    const row = await this.shows(name, "done");
    await row.locator(".download").waitFor();
    return row;
  }

  /** Waits until the row of a file shows a text. */
  says(name, words) {
    return this.row(name).locator(`.words:text-is("${words}")`).waitFor();
  }

  /** Waits until the progress of a file is at least `percent`. */
  async reaches(name, percent) {
    const bar = await this.row(name).locator("progress").elementHandle();
    await this.page.waitForFunction(([bar, percent]) => bar.value >= percent, [bar, percent]);
    return this.row(name).locator("progress").evaluate(bar => bar.value);
  }

  async clicks(name, tool) {
    await this.row(name).locator(`.${tool}`).click();
  }

  /** Waits until the server keeps a file, and downloads it. */
  async fetches(name) {
    const href = await (await this.keeps(name)).locator(".download").getAttribute("href");
    // A new connection: the server may close a kept-alive one just when it is reused.
    const headers = { connection: "close" };
    const response = await this.page.request.get(new URL(href, this.page.url()).href, { headers });
    return { headers: response.headers(), body: await response.body() };
  }

  screenshot(name) {
    return screenshot(this.page, name);
  }
}

// Drives the uploads client as a page does, but without a page.

import { readFile } from "node:fs/promises";

import { Uploads } from "../channel-uploads/index.js";
import { NEWEST, answer, connect, join } from "./client.mjs";
import { within } from "./within.mjs";

let albums = 0;

/** A page with uploads, and the events of its channel. */
export class UploadPage {
  stored = [];
  closed = [];
  #waiting = new Set();
  #server;

  /** Opens a page over a wire to the example `reference`. */
  static async open({ server, wire }, name = "photos", options = {}, version = NEWEST) {
    const page = new UploadPage();
    page.#server = server;
    const socket = page.socket = await connect(version, wire.url.replace("http:", "ws:") + "/uploads");
    page.channel = socket.channel(`album:${++albums}`, {});
    page.uploads = new Uploads(page.channel, name, { retryDelays: [0, 20, 20], ...options });
    page.uploads.addEventListener("change", () => page.#look());
    for (const event of ["stored", "closed"]) {
      page.channel.on(event, payload => {
        page[event].push(payload);
        page.#look();
      });
    }
    await answer(page.channel.join());
    await page.until(() => page.uploads.config, "the upload is shown");
    return page;
  }

  #look() {
    this.#waiting.forEach(look => look());
  }

  until(holds, what) {
    if (holds()) return Promise.resolve();
    return within(new Promise(resolve => {
      const look = () => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    }), what);
  }

  is(entry, status) {
    return this.until(() => entry.status === status, () => `${entry.name} is ${status}, not ${entry.status}`);
  }

  /** Waits until a file is stored, and returns its bytes. */
  async read(name) {
    await this.until(() => this.stored.some(file => file.name === name), `${name} is stored`);
    return readFile(this.stored.find(file => file.name === name).path);
  }

  /** Releases the third chunk of a slow file, over another connection. */
  async release(times = 1) {
    const channel = await join(await connect(NEWEST, this.#server.socket("/uploads")), "album:gates");
    for (let time = 0; time < times; time++) await answer(channel.push("release", this.channel.topic));
  }
}

// Drives LiveView's own uploader as its page does, but without a page: the input is an event
// target with attributes, and `View` has only the functions that the uploader calls.

import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { answer } from "./client.mjs";
import { within } from "./within.mjs";

const SOURCES = fileURLToPath(new URL("../node_modules/phoenix_live_view/assets/js/phoenix_live_view/", import.meta.url));

/** Bundles the uploader from the package's sources: the package does not export it. */
async function load() {
  const entry = 'export { default as LiveUploader } from "./live_uploader"; export { channelUploader } from "./utils";';
  const { outputFiles: [bundle] } = await build({
    stdin: { contents: entry, resolveDir: SOURCES },
    bundle: true, format: "esm", write: false, logLevel: "error",
  });
  return import(`data:text/javascript;base64,${Buffer.from(bundle.contents).toString("base64")}`);
}

class FileReader {
  readAsArrayBuffer(blob) {
    blob.arrayBuffer().then(result => this.onload({ target: { error: null, result } }));
  }
}
globalThis.window = { FileReader };
const { LiveUploader } = await load();

class Input extends EventTarget {
  name = "photos";
  form = {};
  files = [];
  value = "";
  #attributes = new Map();

  getAttribute(name) { return this.#attributes.get(name) ?? null; }
  setAttribute(name, value) { this.#attributes.set(name, value); }
  hasAttribute(name) { return this.#attributes.has(name); }
  removeAttribute(name) { this.#attributes.delete(name); }
}

/** A LiveView page with one file input. */
export class LivePage {
  /** Every `upload_state` of the upload, the last one last. */
  states = [];
  /** Other events that the channel has pushed: `[event, payload]`. */
  events = [];
  /** The progress of entries, as the client reports it: `[ref, percent or error]`. */
  progress = [];
  /** Errors that the client has logged. */
  logged = [];
  input = new Input();
  #waiting = new Set();

  static async open(socket, topic, name, { uploaders = {} } = {}) {
    const page = new LivePage();
    page.socket = socket;
    page.input.setAttribute("multiple", "");
    const channel = page.channel = socket.channel(topic, {});
    channel.on("upload_state", state => { if (state.name === name) page.#update(state); });
    for (const event of ["stored", "closed"]) {
      channel.on(event, payload => page.#happened(() => page.events.push([event, payload])));
    }
    page.liveSocket = {
      channel: (lvu, params) => socket.channel(lvu, params),
      getLatencySim: () => null,
      uploaders,
    };
    page.view = {
      pushFileProgress: (input, entryRef, progress, reply = () => {}) => {
        const ref = input.getAttribute("data-phx-upload-ref");
        page.#happened(() => page.progress.push([entryRef, progress]));
        channel.push("progress", { event: null, ref, entry_ref: entryRef, progress }).receive("ok", () => reply());
      },
      cancelSubmit: () => {},
      logError: (code, text) => { page.logged.push(code ?? text); },
    };
    await answer(channel.join());
    await page.until(() => page.states.length > 0, "the upload is shown");
    return page;
  }

  get state() {
    return this.states.at(-1);
  }

  /** Updates the input like a patch of the page and its hook. */
  #update(state) {
    const list = refs => refs.join(",");
    this.#happened(() => {
      this.states.push(state);
      const attributes = {
        "data-phx-upload-ref": state.ref,
        "data-phx-active-refs": list(state.active_refs),
        "data-phx-preflighted-refs": list(state.preflighted_refs),
        "data-phx-done-refs": list(state.done_refs),
        "data-phx-error-refs": list(state.error_refs),
      };
      Object.entries(attributes).forEach(([name, value]) => this.input.setAttribute(name, value));
      if (state.auto_upload) this.input.setAttribute("data-phx-auto-upload", "");
      this.input.dispatchEvent(new CustomEvent("phx:live-file:updated"));
    });
  }

  #happened(what) {
    what();
    this.#waiting.forEach(look => look());
  }

  /** Waits until `holds()` is true; checks it after each message and each step. */
  until(holds, what, ms) {
    if (holds()) return Promise.resolve();
    return within(new Promise(resolve => {
      const look = () => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
    }), what, ms);
  }

  /** Chooses files and sends them, as `View.uploadFiles` does; returns the entries. */
  async upload(...files) {
    const { input, view } = this;
    LiveUploader.trackFiles(input, files);
    const refs = files.map(file => LiveUploader.genFileRef(file));
    const active = [...input.getAttribute("data-phx-active-refs").split(",").filter(Boolean), ...refs];
    input.setAttribute("data-phx-active-refs", active.join(","));
    let complete;
    const completed = new Promise(resolve => { complete = resolve; });
    const uploader = new LiveUploader(input, view, complete);
    const entries = uploader.entries();
    entries.completed = completed;
    const payload = {
      ref: input.getAttribute("data-phx-upload-ref"),
      entries: entries.map(entry => entry.toPreflightPayload()),
      cid: null,
    };
    const { status, response } = await answer(this.channel.push("allow_upload", payload));
    entries.response = response;
    if (status !== "ok") throw new Error(`allow_upload: ${JSON.stringify(response)}`);
    for (const entry of entries) {
      if (response.entries && !response.entries[entry.ref] && uploader.isAutoUpload()) entry.cancel();
    }
    if (response.error || Object.keys(response.entries).length === 0) return entries;
    uploader.initAdapterUpload(response, callback => this.channel.onError(callback), this.liveSocket);
    return entries;
  }
}

// The bytes of one file, on their way through a channel of their own, or past the server.

/** A chunk that is not answered in this part of the server's own deadline is not waited for. */
const PATIENCE = 0.8;

/**
 * Sends a file through `lvu:<ref>`, one chunk at a time, from wherever the server is.
 *
 * `heard` is told: `progress(bytes)`, and once how it ended: `done()`, `failed(reason)`,
 * `stalled(reason)` where another try may help, `closed()` where the server has ended it.
 */
export class Transfer {
  #channel;
  #file;
  #config;
  #heard;
  #offset = 0;
  #sentAt = Date.now();
  #over = false;
  #closed = false;
  #left = null;

  constructor(socket, { ref, token, file, config, heard }) {
    this.#file = file;
    this.#config = config;
    this.#heard = heard;
    this.#channel = socket.channel(`lvu:${ref}`, { token, resume: true });
    this.#channel.onError(() => {
      // One that is done is not to be joined again either.
      if (this.#over) this.stop();
      else this.#end("stalled", "connection_lost");
    });
    this.#channel.onClose(() => {
      this.#closed = true;
      this.#left ??= Promise.resolve();
      const idle = Date.now() - this.#sentAt;
      if (idle >= this.#timeout) this.#end("stalled", "stalled");
      else this.#end("closed");
    });
    this.#channel.join()
      .receive("ok", reply => this.#begin(reply))
      .receive("error", ({ reason }) => this.#refused(reason))
      .receive("timeout", () => this.#end("stalled", "stalled"));
  }

  /**
   * Stops it where it is; resolves when the server knows. What is left can go on, so one that is
   * cancelled is left `after` the server has heard of that.
   */
  stop(after = null) {
    this.#over = true;
    return this.#left ??= new Promise(resolve => {
      // Where it ends by itself meanwhile, nobody hears the answer.
      this.#channel.onClose(resolve);
      const leave = () => {
        if (!this.#closed) answered(this.#channel.leave(), resolve);
      };
      if (after) answered(after, leave);
      else leave();
    });
  }

  get #timeout() {
    return this.#config.chunk_timeout * PATIENCE;
  }

  #begin({ offset = 0, done = false }) {
    if (this.#over) return;
    this.#offset = offset;
    this.#heard.progress(offset);
    if (done) this.#done();
    else this.#next(this.#read(offset));
  }

  #read(offset) {
    return this.#file.slice(offset, offset + this.#config.chunk_size).arrayBuffer();
  }

  async #next(reading) {
    let chunk;
    try {
      chunk = await reading;
    } catch {
      return this.#end("failed", "unreadable");
    }
    if (this.#over) return;
    const offset = this.#offset + chunk.byteLength;
    // An empty file is one empty chunk; any other has none.
    if (chunk.byteLength === 0 && this.#file.size > 0) return this.#end("failed", "unreadable");
    this.#sentAt = Date.now();
    const push = this.#channel.push("chunk", chunk, this.#timeout);
    const following = offset < this.#file.size ? this.#read(offset) : null;
    // Whoever awaits it handles its error; until then it is not an unhandled one.
    following?.catch(() => {});
    push
      .receive("ok", () => {
        if (this.#over) return;
        this.#offset = offset;
        this.#heard.progress(offset);
        if (following) this.#next(following);
        else this.#done();
      })
      .receive("error", ({ reason }) => this.#refused(reason))
      .receive("timeout", () => this.#end("stalled", "stalled"));
  }

  #refused(reason) {
    // It was all there already, and a handler has it; only the answer was lost.
    if (reason === "taken") {
      this.stop();
      return this.#heard.done();
    }
    const passing = ["join crashed", "channel overloaded", "too many channels joined", "unmatched topic", "already_registered"];
    this.#end(passing.includes(reason) ? "stalled" : "failed", reason);
  }

  /** The channel stays: it holds the file until the server has taken it, and is closed then. */
  #done() {
    if (this.#over) return;
    this.#over = true;
    this.#heard.done();
  }

  #end(how, reason) {
    if (this.#over) return;
    const left = this.stop();
    this.#heard[how](reason, left);
  }
}

const answered = (push, heard) => push.receive("ok", heard).receive("error", heard).receive("timeout", heard);

/** Hands a file to an uploader of the page's own, with the signature that LiveView's have. */
export class ExternalTransfer {
  #over = false;
  #stops = [];

  constructor(uploader, { file, meta, heard }) {
    const entry = {
      file,
      meta,
      progress: percent => { if (!this.#over) heard.progress(Math.floor(percent)); },
      error: (reason = "failed") => { if (!this.#over) heard.error(reason); },
    };
    uploader([entry], callback => this.#stops.push(callback));
  }

  stop() {
    this.#over = true;
    this.#stops.forEach(stop => stop());
    return Promise.resolve();
  }
}

// The bytes of one file, on their way through a channel of their own, or past the server.

/** A chunk that is not answered in this part of the server's own deadline is not waited for. */
const PATIENCE = 0.8;

/** Refusals after which another try may help. */
const PASSING = [
  "join crashed", "channel overloaded", "too many channels joined", "unmatched topic", "already_registered", "wrong_offset",
  "too_many_open",
];

/**
 * Sends a file through `lvu:<ref>` from wherever the server is, with as many chunks on their way as
 * the server takes.
 *
 * `heard` is told: `progress(bytes)`, and once how it ended: `done()`, `failed(reason)`,
 * `stalled(reason)` where another try may help, `closed()` where the server has ended it.
 */
export class Transfer {
  #channel;
  #file;
  #config;
  #heard;
  /** How many chunks may be on their way; 0 where the server is of a time when there was one. */
  #window = 0;
  #underway = 0;
  #hasRoom = () => {};
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
    // The server has waited too long, and keeps what it has.
    this.#channel.on("stalled", () => this.#end("stalled", "stalled"));
    this.#channel.onClose(() => {
      this.#closed = true;
      this.#left ??= Promise.resolve();
      this.#end("closed");
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
    this.#hasRoom();
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

  #begin({ offset = 0, done = false, window = 0 }) {
    if (this.#over) return;
    this.#window = window;
    this.#heard.progress(offset);
    if (done) this.#done();
    else this.#sendFrom(offset);
  }

  async #sendFrom(offset) {
    const { size } = this.#file;
    let reading = this.#read(offset);
    // An empty file is one empty chunk; any other has none.
    do {
      const chunk = await reading;
      if (this.#over) return;
      if (!chunk || (chunk.byteLength === 0 && size > 0)) return this.#end("failed", "unreadable");
      await this.#room();
      if (this.#over) return;
      const end = offset + chunk.byteLength;
      this.#push(chunk, offset, end);
      reading = end < size ? this.#read(end) : null;
      offset = end;
    } while (reading);
  }

  /** The next bytes, or nothing where they cannot be read. */
  #read(offset) {
    return this.#file.slice(offset, offset + this.#config.chunk_size).arrayBuffer().catch(() => null);
  }

  /** Waits until one more chunk may be on its way. */
  async #room() {
    while (!this.#over && this.#underway >= Math.max(this.#window, 1)) {
      await new Promise(resolve => { this.#hasRoom = resolve; });
    }
  }

  #push(chunk, offset, end) {
    this.#underway += 1;
    const [event, bytes] = this.#window ? ["chunk_at", placed(chunk, offset)] : ["chunk", chunk];
    // One that waits for others has their time, too.
    this.#channel.push(event, bytes, this.#timeout * this.#underway)
      .receive("ok", () => {
        this.#underway -= 1;
        this.#hasRoom();
        if (this.#over) return;
        this.#heard.progress(end);
        if (end === this.#file.size) this.#done();
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
    this.#end(PASSING.includes(reason) ? "stalled" : "failed", reason);
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

/** A chunk behind eight bytes that say where it belongs. */
function placed(chunk, offset) {
  const bytes = new Uint8Array(8 + chunk.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(offset));
  bytes.set(new Uint8Array(chunk), 8);
  return bytes.buffer;
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

// Sends the bytes of one file, through a channel of its own or to an external destination.

/** The part of the server's own deadline for which the client waits for the reply to a chunk. */
const PATIENCE = 0.8;

/** Refusals after which a retry may succeed. */
const PASSING = [
  "join crashed", "channel overloaded", "too many channels joined", "unmatched topic", "already_registered", "wrong_offset",
  "too_many_open",
];

/**
 * Sends a file through `lvu:<ref>` from the server's offset on, with as many chunks in flight as
 * the server allows.
 *
 * Calls `heard`: `progress(bytes)`, and once at the end one of `done()`, `failed(reason)`,
 * `stalled(reason)` if a retry may succeed, `closed()` if the server ended the transfer.
 */
export class Transfer {
  #channel;
  #file;
  #config;
  #heard;
  /** Number of chunks that may be in flight; 0 if the server predates the limit and takes one. */
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
      // A file that is done must not be joined again either.
      if (this.#over) this.stop();
      else this.#end("stalled", "connection_lost");
    });
    // The server timed out, and keeps the bytes that it has.
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
   * Stops the transfer; resolves when the server knows. A channel that is left can be resumed, so
   * a cancelled transfer leaves `after` the server has answered the cancellation.
   */
  stop(after = null) {
    this.#over = true;
    this.#hasRoom();
    return this.#left ??= new Promise(resolve => {
      // If the channel closes by itself in the meantime, no reply to the leave arrives.
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
    // An empty file is sent as one empty chunk; other files have no empty chunk.
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

  /** Reads the next bytes; resolves to `null` if they cannot be read. */
  #read(offset) {
    return this.#file.slice(offset, offset + this.#config.chunk_size).arrayBuffer().catch(() => null);
  }

  /** Waits until one more chunk may be in flight. */
  async #room() {
    while (!this.#over && this.#underway >= Math.max(this.#window, 1)) {
      await new Promise(resolve => { this.#hasRoom = resolve; });
    }
  }

  #push(chunk, offset, end) {
    this.#underway += 1;
    const [event, bytes] = this.#window ? ["chunk_at", placed(chunk, offset)] : ["chunk", chunk];
    // A chunk that waits for earlier ones gets their time as well.
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
    // The file was already complete and taken by a handler; only the reply was lost.
    if (reason === "taken") {
      this.stop();
      return this.#heard.done();
    }
    this.#end(PASSING.includes(reason) ? "stalled" : "failed", reason);
  }

  /** Ends the transfer. The channel stays open: the server closes it after it takes the file. */
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

/** Returns a chunk with its offset in front, as eight bytes in big-endian order. */
function placed(chunk, offset) {
  const bytes = new Uint8Array(8 + chunk.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(offset));
  bytes.set(new Uint8Array(chunk), 8);
  return bytes.buffer;
}

const answered = (push, heard) => push.receive("ok", heard).receive("error", heard).receive("timeout", heard);

/** Hands a file to an uploader of the page, which has the signature of a LiveView uploader. */
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

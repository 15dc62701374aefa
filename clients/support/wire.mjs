// A wire between clients and a server that can be cut, hold back what either says, or carry nothing
// more without either end knowing.

import { EventEmitter, once } from "node:events";
import { connect, createServer } from "node:net";
import { Transform } from "node:stream";

export class Wire {
  /** Bytes from clients, for the server. */
  sent = 0;
  #target;
  #server;
  #pairs = new Set();
  #traffic = new EventEmitter();
  #down = false;
  /** How many bytes still go through to the server. */
  #allowed = Infinity;
  #released = Promise.resolve();
  #release = () => {};

  static async to(port) {
    const wire = new Wire();
    wire.leadsTo(port);
    wire.#server = createServer(client => {
      if (wire.#down) client.destroy();
      else wire.#carry(client, connect(wire.#target, "127.0.0.1"));
    });
    await new Promise(resolve => wire.#server.listen(0, "127.0.0.1", resolve));
    wire.port = wire.#server.address().port;
    wire.url = `http://127.0.0.1:${wire.port}`;
    return wire;
  }

  #carry(client, server) {
    const pair = [client, server];
    this.#pairs.add(pair);
    client.on("data", data => {
      this.sent += data.length;
      this.#traffic.emit("data");
    });
    client.pipe(this.#gate()).pipe(server).pipe(client);
    for (const end of pair) {
      end.on("error", () => {});
      end.on("close", () => {
        if (pair.silent) return;
        this.#pairs.delete(pair);
        pair.forEach(other => other.destroySoon());
      });
    }
  }

  #gate() {
    const gate = new Transform({
      transform: async (data, _, done) => {
        const now = data.subarray(0, this.#allowed);
        this.#allowed -= now.length;
        if (now.length === data.length) return done(null, data);
        gate.push(now);
        await this.#released;
        done(null, data.subarray(now.length));
      },
    });
    return gate;
  }

  /** Waits until clients have sent so many bytes in all. */
  async carries(bytes) {
    while (this.sent < bytes) await once(this.#traffic, "data");
  }

  /** From now on clients reach the server of this port; those that are connected stay. */
  leadsTo(port) {
    this.#target = port;
  }

  /** Lets no more than so many bytes through to the server, until `release()`. */
  hold(bytes) {
    this.#allowed = bytes;
    this.#released = new Promise(resolve => { this.#release = resolve; });
  }

  /** Lets through what was held back, and all that follows. */
  release() {
    this.#allowed = Infinity;
    this.#release();
  }

  /** Breaks every connection, and takes no other until `up()`. */
  down() {
    this.#down = true;
    this.cut();
  }

  up() {
    this.#down = false;
  }

  /** Breaks every connection there is; what was sent before arrives, but for what is held back. */
  cut() {
    this.#pairs.forEach(pair => pair.forEach(end => end.destroySoon()));
  }

  /** Breaks every connection for its client alone: the server goes on waiting. */
  cutUnnoticed() {
    for (const pair of this.#pairs) {
      const [client, server] = pair;
      pair.silent = true;
      client.unpipe();
      server.unpipe(client);
      server.resume();
      client.destroy();
    }
  }

  /** What the server says is lost from now on, until the connection breaks. */
  deafen() {
    for (const [client, server] of this.#pairs) {
      server.unpipe(client);
      server.resume();
    }
  }

  /** Holds back what the server says from now on, until `thaw()`. */
  freeze() {
    for (const pair of this.#pairs) {
      const [client, server] = pair;
      server.unpipe(client);
      pair.held = [];
      pair.hold = data => {
        pair.held.push(data);
        this.#traffic.emit("data");
      };
      server.on("data", pair.hold).resume();
    }
  }

  /** Waits until a text is among what is held back. */
  async holdsBack(text) {
    const said = ({ held = [] }) => Buffer.concat(held).includes(text);
    while (![...this.#pairs].some(said)) await once(this.#traffic, "data");
  }

  /** Lets through what the server has said, and all that follows. */
  thaw() {
    for (const { 0: client, 1: server, held, hold } of this.#pairs) {
      if (!hold) continue;
      server.off("data", hold);
      client.write(Buffer.concat(held));
      server.pipe(client);
    }
  }

  close() {
    this.#pairs.forEach(pair => pair.forEach(end => end.destroy()));
    return new Promise(resolve => this.#server.close(resolve));
  }
}

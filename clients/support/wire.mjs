// A wire between clients and a server that can be cut, hold back the bytes of either side, or
// silently drop them.

import { EventEmitter, once } from "node:events";
import { connect, createServer } from "node:net";
import { Transform } from "node:stream";

export class Wire {
  /** Number of bytes that clients have sent to the server. */
  sent = 0;
  #target;
  #server;
  #pairs = new Set();
  #traffic = new EventEmitter();
  #down = false;
  /** Number of bytes that may still pass to the server. */
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

  /** Waits until clients have sent `bytes` in all. */
  async carries(bytes) {
    while (this.sent < bytes) await once(this.#traffic, "data");
  }

  /** Directs new connections to another port; existing ones stay. */
  leadsTo(port) {
    this.#target = port;
  }

  /** Lets at most `bytes` through to the server, until `release()`. */
  hold(bytes) {
    this.#allowed = bytes;
    this.#released = new Promise(resolve => { this.#release = resolve; });
  }

  /** Lets the held bytes through, and all later ones. */
  release() {
    this.#allowed = Infinity;
    this.#release();
  }

  /** Breaks every connection, and accepts no other until `up()`. */
  down() {
    this.#down = true;
    this.cut();
  }

  up() {
    this.#down = false;
  }

  /** Breaks every connection; bytes sent before still arrive, except held ones. */
  cut() {
    this.#pairs.forEach(pair => pair.forEach(end => end.destroySoon()));
  }

  /** Breaks every connection on the client's side only: the server notices nothing. */
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

  /** Drops the server's bytes from now on, until the connection breaks. */
  deafen() {
    for (const [client, server] of this.#pairs) {
      server.unpipe(client);
      server.resume();
    }
  }

  /** Holds back the server's bytes from now on, until `thaw()`. */
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

  /** Waits until the held bytes contain a text. */
  async holdsBack(text) {
    const said = ({ held = [] }) => Buffer.concat(held).includes(text);
    while (![...this.#pairs].some(said)) await once(this.#traffic, "data");
  }

  /** Lets the server's held bytes through, and all later ones. */
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

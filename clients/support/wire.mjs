// A wire between clients and a server that can be cut, or carry nothing more without either end
// knowing.

import { connect, createServer } from "node:net";

export class Wire {
  /** Bytes from clients to the server. */
  sent = 0;
  #server;
  #pairs = new Set();

  static async to(port) {
    const wire = new Wire();
    wire.#server = createServer(client => wire.#carry(client, connect(port, "127.0.0.1")));
    await new Promise(resolve => wire.#server.listen(0, "127.0.0.1", resolve));
    wire.port = wire.#server.address().port;
    wire.url = `http://127.0.0.1:${wire.port}`;
    return wire;
  }

  #carry(client, server) {
    const pair = [client, server];
    this.#pairs.add(pair);
    client.on("data", data => { this.sent += data.length; });
    client.pipe(server).pipe(client);
    for (const end of pair) {
      end.on("error", () => {});
      end.on("close", () => {
        if (pair.silent) return;
        this.#pairs.delete(pair);
        pair.forEach(other => other.destroySoon());
      });
    }
  }

  /** Breaks every connection there is; what was sent before arrives. */
  cut() {
    this.#pairs.forEach(pair => pair.forEach(end => end.destroySoon()));
  }

  /** Breaks every connection for its client alone: the server goes on waiting. */
  cutUnnoticed() {
    for (const pair of this.#pairs) {
      const [client, server] = pair;
      pair.silent = true;
      client.unpipe(server);
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

  close() {
    this.#pairs.forEach(pair => pair.forEach(end => end.destroy()));
    return new Promise(resolve => this.#server.close(resolve));
  }
}

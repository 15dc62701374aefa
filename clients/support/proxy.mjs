// A proxy that lets no WebSocket through, as some between people and servers do.

import { createServer, request } from "node:http";

export class BlockingProxy {
  /** How many upgrades it has refused. */
  refused = 0;
  /** How many polls it has passed on. */
  polls = 0;
  #server;

  static async to(target) {
    const proxy = new BlockingProxy();
    proxy.#server = createServer((incoming, outgoing) => proxy.#pass(target, incoming, outgoing));
    proxy.#server.on("upgrade", (_, socket) => {
      proxy.refused += 1;
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    });
    await new Promise(resolve => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #pass(target, incoming, outgoing) {
    const { method, url, headers } = incoming;
    if (method === "GET" && url.includes("/longpoll")) this.polls += 1;
    // A connection of its own: the server may close one that is kept just as it is used again.
    const passed = request(new URL(url, target), { method, headers, agent: false }, response => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    // Who hangs up here hangs up there.
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

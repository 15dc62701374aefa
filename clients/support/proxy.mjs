// A proxy that blocks WebSockets, as some proxies in front of clients do.

import { createServer, request } from "node:http";

export class BlockingProxy {
  /** Number of upgrades that it has refused. */
  refused = 0;
  /** Number of polls that it has passed on. */
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
    // A new connection: the server may close a kept-alive one just when it is reused.
    const passed = request(new URL(url, target), { method, headers, agent: false }, response => {
      outgoing.writeHead(response.statusCode, response.headers);
      response.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    // When the client disconnects, the request to the server ends too.
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

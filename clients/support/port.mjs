// Hands out ports for servers that start and stop.

import { createServer } from "node:net";

/**
 * The range is below the ephemeral ports (Linux 32768 and up, others 49152), so no connection and
 * no other server gets one of these ports by chance while it is free.
 */
const [FIRST, COUNT] = [20_000, 10_000];

const given = new Set();

/** Returns a free port, which is not handed out again. */
export async function freePort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", error => (error.code === "EADDRINUSE" ? resolve(false) : reject(error)));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

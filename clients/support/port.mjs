// Ports for servers that come and go.

import { createServer } from "node:net";

/**
 * Below the ports that systems give to whoever does not care which (Linux 32768 and up, others
 * 49152): while nobody listens on one of these, no connection and no other server gets it by chance.
 */
const [FIRST, COUNT] = [20_000, 10_000];

const given = new Set();

/** A port that is free, and stays so. */
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

// Starts an example and stops it again.

import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { begin, end } from "./program.mjs";

const debug = name => fileURLToPath(new URL(`../../target/debug/${name}`, import.meta.url));

/** Returns the path of an example's program; `REFERENCE_BIN` overrides that of `reference`. */
export const program = name => process.env[`${name.toUpperCase()}_BIN`] ?? debug(name);

export class Server {
  #child;

  /**
   * Starts an example on a free port, or on `port`, and waits until it listens. `under` is a
   * command that executes the example.
   */
  static async start(name, { port = 0, env: more = {}, under = [] } = {}) {
    const server = new Server();
    const env = { ...process.env, PORT: String(port), RUST_BACKTRACE: "0", ...more };
    const [command, ...args] = [...under, program(name)];
    server.#child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"] });
    server.url = await begin(server.#child, name, () => server.#line());
    server.port = Number(new URL(server.url).port);
    return server;
  }

  #line() {
    return new Promise(resolve => {
      let text = "";
      this.#child.stdout?.setEncoding("utf8").on("data", chunk => {
        text += chunk;
        const line = text.match(/ listening on (https?:\S+).*\n/);
        if (line) resolve(line[1]);
      });
    });
  }

  /** Returns the resident memory of the program in bytes, on systems with `/proc`. */
  async memory() {
    const status = await readFile(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(status.match(/^VmRSS:\s+(\d+) kB$/m)[1]) * 1024;
  }

  /** Returns the address of a socket. */
  socket(path = "/socket") {
    return this.url.replace("http:", "ws:") + path;
  }

  /** Sends `POST path`, and expects it to succeed. */
  async post(path) {
    const response = await fetch(this.url + path, { method: "POST" });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  }

  /** Ends the program and returns its exit code, or the signal that ended it. */
  stop(signal) {
    return end(this.#child, signal);
  }
}

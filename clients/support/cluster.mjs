// Starts the example `cluster`: two nodes behind nginx with the example's configuration.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "./port.mjs";
import { begin, end, isOpen } from "./program.mjs";
import { program } from "./server.mjs";

const SITE = fileURLToPath(new URL("../../examples/cluster/nginx.conf", import.meta.url));

export class Cluster {
  #example;
  #nginx;
  #folder;
  #nodes;

  static async start() {
    const cluster = new Cluster();
    try {
      await cluster.#startNodes();
      await cluster.#startNginx();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  async #startNodes() {
    const env = { ...process.env, PORT: "0", RUST_BACKTRACE: "0" };
    this.#example = spawn(program("cluster"), { env, stdio: ["ignore", "pipe", "inherit"] });
    const addresses = () => new Promise(resolve => {
      let text = "";
      this.#example.stdout?.setEncoding("utf8").on("data", chunk => {
        text += chunk;
        const nodes = [...text.matchAll(/node \w: http:\/\/(\S+)\n/g)].map(([, address]) => address);
        if (nodes.length === 2) resolve(nodes);
      });
    });
    this.#nodes = await begin(this.#example, "cluster", addresses);
  }

  async #startNginx() {
    this.#folder = await mkdtemp(join(tmpdir(), "cluster-"));
    this.port = await freePort();
    const addresses = {
      "127.0.0.1:4000": this.#nodes[0],
      "127.0.0.1:4001": this.#nodes[1],
      "127.0.0.1:8080": `127.0.0.1:${this.port}`,
    };
    // Replaced in one pass: a new address may begin with one that is still to be replaced.
    const site = (await readFile(SITE, "utf8"))
      .replaceAll(/127\.0\.0\.1:\d+/g, address => addresses[address])
      .replace("access_log off;", `log_format node $upstream_addr; access_log ${this.#log()} node;`);
    const file = join(this.#folder, "nginx.conf");
    await writeFile(file, site);
    const words = ["-p", this.#folder, "-e", "stderr", "-c", file];
    this.#nginx = spawn(process.env.NGINX_BIN ?? "/usr/sbin/nginx", words, { stdio: ["ignore", "inherit", "inherit"] });
    await begin(this.#nginx, "nginx", signal => isOpen(this.port, signal));
  }

  #log() {
    return join(this.#folder, "access.log");
  }

  /** Returns the address of the socket behind nginx. */
  socket() {
    return `ws://127.0.0.1:${this.port}/socket`;
  }

  /** Returns the number of requests that nginx has passed to each node. */
  async passed() {
    const lines = (await readFile(this.#log(), "utf8")).split("\n");
    return this.#nodes.map(node => lines.filter(line => line.includes(node)).length);
  }

  async stop() {
    for (const child of [this.#nginx, this.#example]) if (child) await end(child);
    if (this.#folder) await rm(this.#folder, { recursive: true });
  }
}

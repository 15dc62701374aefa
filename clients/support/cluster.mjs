// The example `cluster`: two nodes, and nginx before them with the example's configuration.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort, isOpen } from "./nginx.mjs";
import { program } from "./server.mjs";
import { within } from "./within.mjs";

const SITE = fileURLToPath(new URL("../../examples/cluster/nginx.conf", import.meta.url));

export class Cluster {
  #example;
  #nginx;
  #folder;
  #nodes;

  static async start() {
    const cluster = new Cluster();
    cluster.#nodes = await cluster.#start();
    cluster.#folder = await mkdtemp(join(tmpdir(), "cluster-"));
    cluster.port = await freePort();
    const site = (await readFile(SITE, "utf8"))
      .replace("127.0.0.1:4000", cluster.#nodes[0])
      .replace("127.0.0.1:4001", cluster.#nodes[1])
      .replace("127.0.0.1:8080", `127.0.0.1:${cluster.port}`)
      .replace("access_log off;", `log_format node $upstream_addr; access_log ${cluster.#log()} node;`);
    const file = join(cluster.#folder, "nginx.conf");
    await writeFile(file, site);
    const words = ["-p", cluster.#folder, "-e", "stderr", "-c", file];
    cluster.#nginx = spawn(process.env.NGINX_BIN ?? "/usr/sbin/nginx", words, { stdio: ["ignore", "inherit", "inherit"] });
    await within(isOpen(cluster.port), "nginx listens");
    return cluster;
  }

  /** The addresses of the nodes. */
  #start() {
    const env = { ...process.env, PORT: "0", RUST_BACKTRACE: "0" };
    this.#example = spawn(program("cluster"), { env, stdio: ["ignore", "pipe", "inherit"] });
    return within(new Promise((resolve, reject) => {
      let text = "";
      this.#example.once("error", reject);
      this.#example.once("exit", code => reject(new Error(`cluster ended with ${code} before it was ready`)));
      this.#example.stdout.setEncoding("utf8").on("data", chunk => {
        text += chunk;
        const nodes = [...text.matchAll(/node \w: http:\/\/(\S+)\n/g)].map(([, address]) => address);
        if (nodes.length === 2) resolve(nodes);
      });
    }), "two nodes listen");
  }

  #log() {
    return join(this.#folder, "access.log");
  }

  /** The socket's address, by way of nginx. */
  socket() {
    return `ws://127.0.0.1:${this.port}/socket`;
  }

  /** How many requests have gone to each node. */
  async passed() {
    const lines = (await readFile(this.#log(), "utf8")).split("\n");
    return this.#nodes.map(node => lines.filter(line => line.includes(node)).length);
  }

  async stop() {
    for (const child of [this.#nginx, this.#example]) {
      if (!child || child.exitCode !== null) continue;
      const ended = new Promise(resolve => child.once("exit", resolve));
      child.kill("SIGTERM");
      await within(ended, "it ends");
    }
    await rm(this.#folder, { recursive: true });
  }
}

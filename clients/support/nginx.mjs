// nginx with the configuration of an example, on free ports.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { within } from "./within.mjs";

const SITE = fileURLToPath(new URL("../../examples/tls/nginx.conf", import.meta.url));

/** A port that is free now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise(resolve => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

export class Nginx {
  #child;
  #folder;

  /** Starts nginx in front of `upstream`, a port; it waits until both ports are open. */
  static async start(upstream, { certificate, key }) {
    const nginx = new Nginx();
    const folder = nginx.#folder = await mkdtemp(join(tmpdir(), "nginx-"));
    [nginx.plain, nginx.secure] = [await freePort(), await freePort()];
    const replaced = {
      "127.0.0.1:4000": `127.0.0.1:${upstream}`,
      "127.0.0.1:80": `127.0.0.1:${nginx.plain}`,
      "127.0.0.1:443": `127.0.0.1:${nginx.secure}`,
      "/etc/ssl/room/cert.pem": certificate,
      "/etc/ssl/room/key.pem": key,
    };
    let site = await readFile(SITE, "utf8");
    for (const [from, to] of Object.entries(replaced)) {
      if (!site.includes(from)) throw new Error(`nginx.conf has no ${from}`);
      site = site.replaceAll(new RegExp(`${from}(?=[; ])`, "g"), to);
    }
    await writeFile(join(folder, "site.conf"), site);
    await writeFile(join(folder, "nginx.conf"), main(folder));
    const program = process.env.NGINX_BIN ?? "/usr/sbin/nginx";
    const words = ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
    nginx.#child = spawn(program, words, { stdio: ["ignore", "inherit", "inherit"] });
    const failed = new Promise((_, reject) => {
      nginx.#child.once("error", reject);
      nginx.#child.once("exit", code => reject(new Error(`nginx ended with ${code}`)));
    });
    failed.catch(() => {});
    const ports = Promise.all([nginx.plain, nginx.secure].map(isOpen));
    await within(Promise.race([ports, failed]), "nginx listens");
    return nginx;
  }

  /** Ends the master process, and with it its workers. */
  async stop() {
    if (this.#child.exitCode === null) {
      const ended = new Promise(resolve => this.#child.once("exit", resolve));
      this.#child.kill("SIGTERM");
      await within(ended, "nginx ends");
    }
    await rm(this.#folder, { recursive: true });
  }
}

/** All that it writes is in one folder. */
const main = folder => `
${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${folder}/pid;
events { worker_connections 256; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(name => `${name}_temp_path ${folder}/${name};`).join(" ")}
  include ${folder}/site.conf;
}
`;

export async function isOpen(port) {
  for (;;) {
    const open = await new Promise(resolve => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => { socket.destroy(); resolve(true); });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    await sleep(20);
  }
}

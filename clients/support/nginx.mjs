// Starts nginx with the configuration of an example, on free ports.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "./port.mjs";
import { begin, end, isOpen } from "./program.mjs";

const SITE = fileURLToPath(new URL("../../examples/tls/nginx.conf", import.meta.url));

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
    const ports = [nginx.plain, nginx.secure];
    await begin(nginx.#child, "nginx", signal => Promise.all(ports.map(port => isOpen(port, signal))));
    return nginx;
  }

  /** Ends the master process, and with it its workers. */
  async stop() {
    await end(this.#child);
    await rm(this.#folder, { recursive: true });
  }
}

/** Returns the main configuration; nginx writes all of its files to `folder`. */
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

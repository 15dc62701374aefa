// A file system that is soon full.

import { spawnSync } from "node:child_process";

/**
 * What a program is started under to have a file system of so many bytes at `folder`, that goes with
 * it; `null` where none can be mounted.
 */
export function onSmallDisk(folder, bytes) {
  const mount = `mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec "$@"`;
  const under = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, folder];
  const [command, ...args] = [...under, "true"];
  return spawnSync(command, args).status === 0 ? under : null;
}

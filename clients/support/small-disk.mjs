// Mounts a small file system.

import { spawnSync } from "node:child_process";

/**
 * Returns the command under which a program has a file system of `bytes` at `folder`, which is
 * unmounted when the program ends; `null` if mounting is not possible.
 */
export function onSmallDisk(folder, bytes) {
  const mount = `mount -t tmpfs -o size=${bytes} tmpfs "$0" && exec "$@"`;
  const under = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, folder];
  const [command, ...args] = [...under, "true"];
  return spawnSync(command, args).status === 0 ? under : null;
}

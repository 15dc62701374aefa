// Files with bytes of which no two chunks are the same.

import { createHash } from "node:crypto";

/** Bytes that are the same for the same size, and nowhere repeat. */
export function content(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0, block = 0; at < size; block++) {
    at += createHash("sha512").update(`${size}:${block}`).digest().copy(bytes, at);
  }
  return bytes;
}

export function file(name, size, options = {}) {
  return new File([content(size)], name, { type: "application/octet-stream", lastModified: 1_700_000_000_000, ...options });
}

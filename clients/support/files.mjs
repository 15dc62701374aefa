// Creates files in which no two chunks are equal.

import { createCipheriv } from "node:crypto";

/** Returns bytes that do not repeat, and are always equal for the same size. */
export function content(size) {
  const key = Buffer.alloc(16);
  key.writeDoubleBE(size);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function file(name, size, options = {}) {
  return new File([content(size)], name, { type: "application/octet-stream", lastModified: 1_700_000_000_000, ...options });
}

// Starts and ends programs for tests. No program outlives a failure: it would keep the tests from
// ending.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { within } from "./within.mjs";

/** Waits for `ready(signal)`, and fails if the program ends before. */
export async function begin(child, name, ready) {
  const over = new AbortController();
  const failed = new Promise((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, by) => reject(new Error(`${name} ended with ${code ?? by} before it listened`)));
  });
  try {
    return await within(Promise.race([ready(over.signal), failed]), `${name} listens`);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    over.abort();
    // From now on, the end of the program is not an error.
    failed.catch(() => {});
  }
}

/** Ends a program; resolves to its exit code, or to the signal that ended it. */
export async function end(child, signal = "SIGTERM") {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null) return exitCode ?? signalCode;
  const ended = new Promise(resolve => child.once("exit", (code, by) => resolve(code ?? by)));
  child.kill(signal);
  try {
    return await within(ended, `${child.spawnfile} ends`);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** Waits until a port accepts connections. */
export async function isOpen(port, signal) {
  while (!signal.aborted && !(await accepts(port))) await sleep(20);
}

function accepts(port) {
  return new Promise(resolve => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => { socket.destroy(); resolve(true); });
    socket.once("error", () => resolve(false));
  });
}

// Programs that tests start and end. Whatever fails, none is left behind: it would keep the tests
// from ending.

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { within } from "./within.mjs";

/** Waits for what `ready(signal)` resolves to, and no longer than the program runs. */
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
    // Its end is no error any more.
    failed.catch(() => {});
  }
}

/** Ends a program, and resolves to its exit code, or to the signal that ended it. */
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

/** Waits until somebody listens on a port. */
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

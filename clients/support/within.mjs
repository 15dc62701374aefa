/** How long a test waits for what must come: a machine may be slow, and others may use it. */
export const PATIENCE = 120_000;

/** The promise's value, or an error that says what did not happen in time; asked then, where it is a function. */
export function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

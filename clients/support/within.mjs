/** How long a test waits, in milliseconds: the machine may be slow or shared. */
export const PATIENCE = 120_000;

/**
 * Resolves to the promise's value, or rejects after `ms` milliseconds with an error that names
 * `what`, which may be a function that returns the text.
 */
export function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A file, as a page shows it.

export class UploadEntry {
  /**
   * - `selected`: chosen, and `start()` has not been called
   * - `queued`: waits for its turn
   * - `uploading`
   * - `waiting`: for the connection, or for the next try
   * - `paused`
   * - `done`: the server has every byte
   * - `failed`: `error` says why
   * - `cancelled`: no longer in the list
   */
  status = "selected";
  /** Number of bytes that the server has taken. */
  sent = 0;
  /** The reason of a failure, or of a wait: `{reason, …}`. */
  error = null;
  /** True if the server's channel has taken the file; then it cannot be cancelled any more. */
  taken = false;

  constructor(file) {
    this.file = file;
  }

  get name() { return this.file.name; }
  get size() { return this.file.size; }
  get type() { return this.file.type; }

  /** The progress in percent, rounded down; 100 only when it is done. */
  get progress() {
    if (this.status === "done") return 100;
    return this.size === 0 ? 0 : Math.min(99, Math.floor((this.sent / this.size) * 100));
  }

  /** True if the status no longer changes by itself. */
  get isOver() {
    return ["done", "failed", "cancelled"].includes(this.status);
  }
}

/** Turns a refusal of the server, a string or an object, into an object. */
export function toError(reason) {
  if (typeof reason === "string") return { reason };
  return { reason: "refused", ...reason };
}

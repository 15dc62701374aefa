// One file, as a page shows it.

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
  /** How many bytes the server has taken. */
  sent = 0;
  /** Why it has failed, or what it waits for: `{reason, …}`. */
  error = null;
  /** Whether the server's channel has taken the file; then it cannot be cancelled any more. */
  taken = false;

  constructor(file) {
    this.file = file;
  }

  get name() { return this.file.name; }
  get size() { return this.file.size; }
  get type() { return this.file.type; }

  /** In percent, rounded down; 100 is the end. */
  get progress() {
    if (this.status === "done") return 100;
    return this.size === 0 ? 0 : Math.min(99, Math.floor((this.sent / this.size) * 100));
  }

  /** Whether nothing more happens to it by itself. */
  get isOver() {
    return ["done", "failed", "cancelled"].includes(this.status);
  }
}

/** A refusal as the server says it, a word or an object, as an object. */
export function toError(reason) {
  if (typeof reason === "string") return { reason };
  return { reason: "refused", ...reason };
}

// Words for the limits, sizes and errors that the server reports.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

/** Formats a size: `512 bytes`, `3.4 MB`. */
export function size(bytes) {
  let unit = 0;
  let amount = bytes;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && amount < 9.95 ? 1 : 0;
  return `${amount.toFixed(digits)} ${bytes === 1 ? "byte" : UNITS[unit]}`;
}

const KINDS = { "image/*": "images", "audio/*": "audio", "video/*": "videos" };

/** Formats the limits of an upload: `Images, audio, PDF · up to 20 at once, 100 MB each`. */
export function limits({ accept, max_entries: most, max_file_size: largest }) {
  const kinds = accept.split(",").filter(Boolean).map(kind => KINDS[kind] ?? kind.slice(1).toUpperCase());
  const list = kinds.length ? kinds.join(", ") : "all files";
  return `${list[0].toUpperCase()}${list.slice(1)} · up to ${most} at once, ${size(largest)} each`;
}

const ERRORS = {
  too_large: ({ limit }) => `Too large: at most ${size(limit ?? 0)}`,
  file_size_limit_exceeded: () => "It has grown since it was chosen",
  not_accepted: () => "Files of this type are not taken",
  not_what_it_says: () => "The name is that of an image, the content is not",
  too_many_files: ({ limit }) => (limit ? `Too many files: at most ${limit} at once` : "Too many files at once"),
  no_space: () => "The server has no space left",
  too_many_open: () => "The server takes no more files now",
  writer_failure: () => "The server could not write it",
  writer_error: () => "The server could not write it",
  not_kept: () => "The server could not keep it",
  unreadable: () => "It cannot be read: was it changed or moved?",
  cancelled: () => "The server has cancelled it",
  stalled: () => "The server does not answer",
  connection_lost: () => "The connection is lost",
};

/** Errors that a retry cannot fix. */
const HOPELESS = ["too_large", "file_size_limit_exceeded", "not_accepted", "not_what_it_says", "unreadable"];

/** Returns true if a retry may help a failed file. */
export const hasHope = ({ error }) => !HOPELESS.includes(error?.reason);

/** Returns the text for the error of a file. */
export function problem({ reason, cause, ...details }) {
  const words = ERRORS[cause] ?? ERRORS[reason];
  return words ? words(details) : `Refused: ${String(cause ?? reason).replaceAll("_", " ")}`;
}

/** Returns the text for the status of a file. */
export function doing(entry) {
  switch (entry.status) {
    case "selected":
    case "queued": return `${size(entry.size)} · waiting for its turn`;
    case "uploading": return entry.sent === entry.size ? "Almost there…" : `${size(entry.sent)} of ${size(entry.size)}`;
    case "paused": return `Paused at ${entry.progress} %`;
    case "waiting":
      return entry.error?.reason === "connection_lost"
        ? "Connection lost; going on when it is back"
        : "No answer; trying again…";
    case "failed": return problem(entry.error);
    case "done": return size(entry.size);
    default: return "";
  }
}

// Uploads files to a channel, over the official phoenix client. README.md shows how to use it.

import { UploadEntry, toError } from "./entry.js";
import { Job } from "./job.js";
import { ExternalTransfer, Transfer } from "./transfer.js";

export { UploadEntry };

const DEFAULTS = {
  parallel: 3,
  retryDelays: [0, 1000, 3000, 5000],
  uploaders: {},
  meta: () => undefined,
};

export class Uploads extends EventTarget {
  #channel;
  #options;
  #config = null;
  #jobs = new Map();
  /** The tokens of cancelled files that the server may still keep. */
  #unwanted = new Set();

  /** Creates the uploads of `name`, as an `#[allow_upload]` of the channel declares them. */
  constructor(channel, name, options = {}) {
    super();
    this.#channel = channel;
    this.#options = { ...DEFAULTS, ...options };
    channel.on("upload_state", state => {
      if (state.name === name) this.#hear(state);
    });
    channel.onError(() => this.#lose());
    channel.onClose(() => this.#lose());
  }

  /** Every file that is chosen and not cancelled, in order. */
  get entries() {
    return [...this.#jobs.keys()];
  }

  /** Returns the entry that the server knows by `ref` at present. */
  entry(ref) {
    return this.entries.find(entry => this.#jobs.get(entry).ref === ref);
  }

  /** The upload's limits, as in `upload_state`; `null` before the channel is joined. */
  get config() {
    return this.#config;
  }

  /** Adds files. They are sent at once if the upload is `auto_upload`, otherwise by `start()`. */
  add(files) {
    const max = this.#config?.max_entries;
    if (max === 1 && files.length === 1) {
      this.entries.filter(entry => !entry.taken).forEach(entry => this.cancel(entry));
    }
    const added = [...files].map(file => new UploadEntry(file));
    added.forEach(entry => this.#jobs.set(entry, new Job()));
    if (this.#config) this.#admit(added);
    added.forEach(entry => this.#changed(entry));
    return added;
  }

  /** Sends the chosen files, if the upload is not `auto_upload`. */
  start() {
    this.#each("selected", entry => this.#become(entry, "queued"));
    this.#pump();
  }

  /** Pauses a file. The server keeps its bytes for the `detach` time, then discards them. */
  pause(entry) {
    if (entry.isOver || entry.status === "paused" || entry.status === "selected") return;
    this.#stop(entry);
    this.#become(entry, "paused");
    this.#pump();
  }

  /** Resumes a paused file. */
  resume(entry) {
    if (entry.status !== "paused") return;
    this.#become(entry, this.#config ? "queued" : "waiting");
    this.#pump();
  }

  /** Retries a file that failed. */
  retry(entry) {
    if (entry.status !== "failed") return;
    const job = this.#jobs.get(entry);
    this.#anew(job);
    job.tries = 0;
    entry.sent = 0;
    this.#become(entry, "selected");
    if (!this.#config) return;
    this.#admit([entry]);
    if (entry.status === "selected") this.#become(entry, "queued");
    this.#pump();
  }

  /** Removes a file from the list, whatever its status; the server discards its bytes. */
  cancel(entry) {
    const job = this.#jobs.get(entry);
    if (!job) return;
    this.#jobs.delete(entry);
    clearTimeout(job.timer);
    const told = entry.taken ? null : this.#giveUp(job);
    // The server closes the file's channel, and the client must not join it again.
    if (entry.status !== "done") job.transfer?.stop(told);
    this.#become(entry, "cancelled");
    this.#pump();
  }

  #hear(state) {
    const anew = state.ref !== this.#config?.ref;
    this.#config = state;
    if (anew) this.#return();
    const errors = new Map(state.errors);
    for (const [entry, { ref, told }] of this.#jobs) {
      const gone = !state.active_refs.includes(ref);
      if (errors.has(ref)) this.#fail(entry, errors.get(ref));
      else if (told && (gone || state.done_refs.includes(ref))) this.#finish(entry);
      else if (entry.status === "done" && !entry.taken && gone) this.#take(entry);
    }
    this.#pump();
    this.#changed(null);
  }

  /** Continues, after a join, with the files that the server does not know yet. */
  #return() {
    const unknown = this.entries.filter(entry => entry.status === "selected");
    this.#unwanted.forEach(token => this.#renounce(token));
    this.#each("waiting", entry => {
      clearTimeout(this.#jobs.get(entry).timer);
      this.#become(entry, "queued");
    });
    this.#admit(unknown);
  }

  /** Resets the state that the server lost together with the channel. */
  #lose() {
    if (!this.#config) return;
    this.#config = null;
    for (const [entry, job] of this.#jobs) {
      job.asked = false;
      // A file that is done and not taken has to be attached to the new channel.
      const goesOn = !entry.isOver || (entry.status === "done" && !entry.taken);
      if (!goesOn) continue;
      this.#stop(entry);
      if (["selected", "paused"].includes(entry.status)) continue;
      this.#become(entry, "waiting", "connection_lost");
    }
    this.#changed(null);
  }

  /** Checks new files, and queues them or asks the server about them. */
  #admit(entries) {
    const { max_entries, max_file_size, auto_upload, ref } = this.#config;
    let places = max_entries - this.entries.filter(entry => {
      return !entries.includes(entry) && !entry.taken && entry.status !== "failed";
    }).length;
    const admitted = entries.filter(entry => {
      if (entry.size > max_file_size) this.#fail(entry, { reason: "too_large", limit: max_file_size });
      else if (places <= 0) this.#fail(entry, { reason: "too_many_files", limit: max_entries });
      else return places--;
      return false;
    });
    if (auto_upload) {
      admitted.forEach(entry => this.#become(entry, "queued"));
      this.#pump();
    } else if (admitted.length) {
      this.#channel.push("upload_validate", { ref, entries: admitted.map(entry => this.#said(entry)) });
    }
  }

  /** Returns the description of a file that is sent to the server. */
  #said(entry) {
    const { ref, token } = this.#jobs.get(entry);
    const { name, size, type, lastModified, webkitRelativePath } = entry.file;
    return {
      ref, name, size, type,
      last_modified: lastModified,
      relative_path: webkitRelativePath || undefined,
      meta: this.#options.meta(entry),
      resume: token,
    };
  }

  /** Asks the server about new files, and starts the transfers that can start. */
  #pump() {
    if (!this.#config) return;
    const queued = [...this.#jobs].filter(([entry, job]) => entry.status === "queued" && !job.leaving);
    const fresh = queued.filter(([, job]) => !job.asked);
    if (fresh.length) this.#ask(fresh);
    let free = this.#options.parallel;
    this.#each("uploading", () => { free -= 1; });
    for (const [entry, job] of queued) {
      if (free > 0 && job.place && entry.status === "queued") {
        free -= 1;
        this.#send(entry, job);
      }
    }
  }

  #ask(fresh) {
    const { ref } = this.#config;
    fresh.forEach(([, job]) => { job.asked = true; });
    const entries = fresh.map(([entry]) => this.#said(entry));
    // A reply that arrives after a lost connection concerns entries that no longer exist.
    const still = answer => reply => {
      if (ref !== this.#config?.ref) return;
      fresh.filter(([entry]) => this.#jobs.has(entry) && !entry.isOver).forEach(([entry, job]) => answer(entry, job, reply));
      this.#pump();
    };
    this.#channel.push("allow_upload", { ref, entries })
      .receive("ok", still((entry, job, reply) => this.#answered(entry, job, reply)))
      .receive("error", still((entry, _, reason) => this.#fail(entry, reason)))
      .receive("timeout", still((entry, job) => {
        this.#anew(job);
        this.#again(entry, "stalled");
      }));
  }

  #answered(entry, job, reply) {
    const errors = new Map(reply.error ?? Object.entries(reply.errors).map(([ref, [reason]]) => [ref, reason]));
    const place = reply.entries?.[job.ref];
    if (errors.has(job.ref)) {
      this.#fail(entry, errors.get(job.ref));
    } else if (entry.status !== "queued") {
      // The file was paused in the meantime.
      if (place) job.take(place);
      else this.#anew(job);
    } else if (place) {
      job.take(place);
    } else if (reply.error && !errors.has(reply.ref)) {
      // Other files were invalid: this one is sent without them, or waits until they are fixed.
      job.asked = false;
      this.#become(entry, this.#config.auto_upload ? "queued" : "selected");
    } else {
      this.#again(entry, "too_many_files");
    }
  }

  #send(entry, job) {
    const { place } = job;
    job.place = null;
    this.#become(entry, "uploading");
    if (typeof place !== "string") return this.#sendOutside(entry, job, place);
    const heard = {
      progress: bytes => {
        if (bytes > entry.sent) job.tries = 0;
        entry.sent = bytes;
        this.#changed(entry);
      },
      done: () => this.#finish(entry),
      failed: reason => this.#fail(entry, reason),
      stalled: (reason, left) => {
        this.#leave(job, left);
        this.#again(entry, reason);
      },
      closed: () => this.#fail(entry, "cancelled"),
    };
    const { ref, token } = job;
    job.transfer = new Transfer(this.#channel.socket, { ref, token, file: entry.file, config: this.#config, heard });
  }

  #sendOutside(entry, job, meta) {
    const uploader = this.#options.uploaders[meta.uploader];
    if (!uploader) return this.#fail(entry, { reason: "no_uploader", uploader: meta.uploader });
    const { ref } = this.#config;
    const tell = progress => this.#channel.push("progress", { ref, entry_ref: job.ref, progress });
    const heard = {
      progress: percent => {
        entry.sent = Math.floor(entry.size * Math.min(percent, 100) / 100);
        // At 100 percent, the server has to confirm that the file is complete.
        job.told = percent >= 100;
        tell(percent);
        this.#changed(entry);
      },
      error: reason => tell({ error: reason }),
    };
    job.transfer = new ExternalTransfer(uploader, { file: entry.file, meta, heard });
  }

  #finish(entry) {
    if (entry.isOver) return;
    const job = this.#jobs.get(entry);
    entry.sent = entry.size;
    job.told = false;
    this.#become(entry, "done");
    // The handler may take the file before the reply to the last chunk arrives.
    if (this.#config && job.asked && !this.#config.active_refs.includes(job.ref)) this.#take(entry);
    this.#pump();
  }

  #take(entry) {
    entry.taken = true;
    this.#changed(entry);
  }

  #fail(entry, reason) {
    const job = this.#jobs.get(entry);
    if (!job || entry.status === "failed") return;
    // The error that the server has recorded is more precise than its reply.
    const recorded = this.#config?.errors.find(([ref]) => ref === job.ref)?.[1];
    job.transfer?.stop();
    job.transfer = null;
    // With `auto_upload`, other files do not wait for this one, so it gives up its place.
    if (this.#config?.auto_upload) this.#forget(job);
    this.#become(entry, "failed", recorded ?? reason);
    this.#pump();
  }

  /** Retries after the next of `retryDelays`, or fails the file when none is left. */
  #again(entry, reason) {
    const job = this.#jobs.get(entry);
    const delay = this.#options.retryDelays[job.tries++];
    if (delay === undefined) return this.#fail(entry, reason);
    this.#become(entry, "waiting", reason);
    // The connection is lost: the next join continues with the file.
    if (!this.#config) return;
    job.asked = false;
    job.timer = setTimeout(() => {
      if (entry.status !== "waiting" || !this.#config) return;
      this.#become(entry, "queued");
      this.#pump();
    }, delay);
  }

  /** Stops the transfer of a file, so that it can be resumed later. */
  #stop(entry) {
    const job = this.#jobs.get(entry);
    clearTimeout(job.timer);
    if (job.transfer instanceof ExternalTransfer) this.#forget(job);
    if (job.transfer) this.#leave(job, job.transfer.stop());
    else if (!this.#config) job.place = null;
  }

  #leave(job, left) {
    job.renew();
    job.leaving = true;
    left.then(() => {
      job.leaving = false;
      this.#pump();
    });
  }

  /** Discards the file on the server, and gives the job a new ref. */
  #anew(job) {
    this.#forget(job);
    job.renew();
  }

  /** Removes the entry on the server; returns the push, or `null` if the server knows no entry. */
  #forget(job) {
    if (!this.#config || !this.#config.active_refs.includes(job.ref) && !job.asked) return null;
    job.asked = false;
    return this.#channel.push("upload_cancel", { ref: this.#config.ref, entry_ref: job.ref });
  }

  /** Removes the entry, and has the server delete the bytes that it stored, on any node. */
  #giveUp(job) {
    const { ref, token } = job;
    if (!token) return this.#forget(job);
    this.#unwanted.add(token);
    return this.#config && this.#renounce(token, ref);
  }

  #renounce(token, entry_ref) {
    const { ref } = this.#config;
    const over = () => {
      // A reply that arrives after a lost connection concerns another upload.
      if (ref === this.#config?.ref) this.#unwanted.delete(token);
    };
    return this.#channel.push("upload_cancel", { ref, entry_ref, token })
      .receive("ok", over)
      .receive("error", over);
  }

  #each(status, act) {
    this.entries.filter(entry => entry.status === status).forEach(act);
  }

  #become(entry, status, reason = null) {
    entry.status = status;
    entry.error = reason === null ? null : toError(reason);
    this.#changed(entry);
  }

  #changed(entry) {
    this.dispatchEvent(new CustomEvent("change", { detail: entry }));
  }
}

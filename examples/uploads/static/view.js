// Draws the page. Everything that comes from a file or the server goes through textContent.

import { doing, hasHope, limits, problem, size } from "./words.js";

const $ = id => document.getElementById(id);

const STATUS = { online: "connected", offline: "reconnecting…", refused: "refused" };

/** Returns the extension of a file's name, shown until its picture is there. */
function ending(name) {
  const [, end = "file"] = name.match(/\.([^.]{1,5})$/) ?? [];
  return end.toUpperCase();
}

/** A file in the list. */
class Row {
  element = $("row").content.firstElementChild.cloneNode(true);
  #entry;
  #parts = {};
  #status;

  constructor(entry, uploads, show) {
    this.#entry = entry;
    for (const part of ["thumb", "ending", "name", "percent", "words", "download", "pause", "resume", "retry", "cancel"]) {
      this.#parts[part] = this.element.querySelector(`.${part}`);
    }
    this.#parts.progress = this.element.querySelector("progress");
    const { name } = entry;
    this.#parts.name.textContent = this.#parts.name.title = name;
    this.#parts.ending.textContent = ending(name);
    this.#parts.progress.setAttribute("aria-label", `Progress of ${name}`);
    this.#parts.thumb.setAttribute("aria-label", `Preview of ${name}`);
    this.#parts.thumb.addEventListener("click", () => show(this.#parts.thumb.querySelector("img").src, name));
    this.#label("download", `Download ${name}`);
    for (const [tool, words] of Object.entries({ pause: "Pause", resume: "Go on with", retry: "Try again:" })) {
      this.#label(tool, `${words} ${name}`);
      this.#parts[tool].addEventListener("click", () => {
        uploads[tool](entry);
        this.#keepFocus();
      });
    }
    this.#parts.cancel.addEventListener("click", () => uploads.cancel(entry));
  }

  /** Shows the file's status and progress; returns true if the status has changed. */
  update() {
    const { status, progress } = this.#entry;
    const { percent, words, download, pause, resume, retry } = this.#parts;
    const changed = status !== this.#status;
    this.#parts.progress.value = progress;
    percent.textContent = status === "uploading" || status === "paused" ? `${progress} %` : "";
    words.textContent = doing(this.#entry);
    if (!changed) return false;
    this.#status = status;
    this.element.dataset.status = status;
    pause.hidden = !["uploading", "queued", "waiting"].includes(status);
    resume.hidden = status !== "paused";
    retry.hidden = status !== "failed" || !hasHope(this.#entry);
    download.hidden = !(status === "done" && download.href);
    this.#label("cancel", this.#entry.isOver ? `Take ${this.#entry.name} off the list` : `Cancel ${this.#entry.name}`);
    return true;
  }

  /** Shows the link and the picture of a file that the server has stored. */
  stored(url, isImage) {
    const { thumb, ending, download } = this.#parts;
    download.href = url;
    download.download = this.#entry.name;
    download.hidden = this.#entry.status !== "done";
    if (!isImage) return;
    const image = Object.assign(document.createElement("img"), { src: url, alt: "" });
    image.addEventListener("load", () => {
      ending.replaceWith(image);
      thumb.disabled = false;
    });
  }

  /** Moves the focus from a button that disappears to the one that replaces it. */
  #keepFocus() {
    requestAnimationFrame(() => {
      if (document.activeElement !== document.body) return;
      this.element.querySelector(".tool:not([hidden])").focus();
    });
  }

  #label(tool, text) {
    this.#parts[tool].setAttribute("aria-label", text);
    this.#parts[tool].title = text;
  }
}

export class View {
  #uploads;
  #rows = new Map();
  #changed = new Set();
  #drawing = false;

  constructor(uploads) {
    this.#uploads = uploads;
    $("files").addEventListener("change", () => {
      uploads.add($("files").files);
      $("files").value = "";
    });
    $("clear").addEventListener("click", () => {
      uploads.entries.filter(entry => entry.isOver).forEach(entry => uploads.cancel(entry));
    });
    $("viewer").addEventListener("click", ({ target }) => {
      if (target === $("viewer")) $("viewer").close();
    });
    this.#takeDrops();
  }

  status(status) {
    $("status").textContent = STATUS[status];
    $("status").className = `status ${status}`;
  }

  folder(path) {
    $("folder").textContent = path;
  }

  /** Draws a changed file, or changed limits, with the next frame. */
  changed(entry) {
    if (entry) this.#changed.add(entry);
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  stored(entry, url, isImage) {
    if (entry) this.#row(entry).stored(url, isImage);
  }

  #row(entry) {
    if (!this.#rows.has(entry)) {
      const show = (src, name) => {
        Object.assign($("shown"), { src, alt: name });
        $("viewer").showModal();
      };
      const row = new Row(entry, this.#uploads, show);
      this.#rows.set(entry, row);
      $("list").append(row.element);
    }
    return this.#rows.get(entry);
  }

  #draw() {
    // A file that fails at once changes before the files that were chosen ahead of it.
    this.#uploads.entries.forEach(entry => this.#row(entry));
    for (const entry of this.#changed) {
      if (entry.status === "cancelled") this.#remove(entry);
      else if (this.#row(entry).update()) this.#tell(entry);
    }
    this.#changed.clear();
    const { config, entries } = this.#uploads;
    if (config) {
      $("limits").textContent = limits(config);
      $("files").accept = config.accept;
    }
    $("manifest").hidden = entries.length === 0;
    $("clear").hidden = !entries.some(entry => entry.isOver);
    $("summary").textContent = summary(entries);
  }

  #remove(entry) {
    const element = this.#rows.get(entry)?.element;
    if (!element) return;
    const focused = element.contains(document.activeElement);
    const next = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    this.#rows.delete(entry);
    if (focused) (next?.querySelector(".cancel") ?? $("files")).focus();
  }

  /** Announces the end of a file to screen readers. */
  #tell(entry) {
    if (entry.status === "done") $("news").textContent = `${entry.name} is done`;
    if (entry.status === "failed") $("news").textContent = `${entry.name}: ${problem(entry.error)}`;
  }

  /** Accepts files that are dropped anywhere in the window. */
  #takeDrops() {
    const holdsFiles = event => event.dataTransfer?.types.includes("Files");
    const over = is => document.body.classList.toggle("over", is);
    addEventListener("dragover", event => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      over(true);
    });
    addEventListener("dragleave", ({ relatedTarget }) => { if (!relatedTarget) over(false); });
    addEventListener("drop", event => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      over(false);
      this.#uploads.add(event.dataTransfer.files);
    });
  }
}

function summary(entries) {
  const going = entries.filter(entry => entry.status !== "failed");
  const done = going.filter(entry => entry.status === "done");
  const sum = of => going.reduce((total, entry) => total + of(entry), 0);
  if (!going.length) return "";
  const files = going.length === 1 ? "1 file" : `${going.length} files`;
  if (done.length === going.length) return `${files}, ${size(sum(entry => entry.size))}`;
  return `${done.length} of ${files} · ${size(sum(entry => entry.sent))} of ${size(sum(entry => entry.size))}`;
}

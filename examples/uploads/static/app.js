// Exchanges messages with the server; view.js draws the page.

import { Uploads } from "./channel-uploads/index.js";
import { View } from "./view.js";

const SOON = tries => [200, 500, 1000][tries - 1] ?? 2000;

const socket = new window.Phoenix.Socket("/socket", { reconnectAfterMs: SOON, rejoinAfterMs: SOON });
const harbour = socket.channel("harbour", {});
// Created before the join, so that it misses no message.
const uploads = new Uploads(harbour, "files", { parallel: 3 });
const view = new View(uploads);

uploads.addEventListener("change", ({ detail: entry }) => view.changed(entry));
harbour.on("stored", ({ ref, url, is_image: isImage }) => view.stored(uploads.entry(ref), url, isImage));

socket.onOpen(() => view.status("online"));
socket.onClose(() => view.status("offline"));
socket.connect();
harbour.join()
  .receive("ok", ({ folder }) => view.folder(folder))
  .receive("error", () => view.status("refused"));

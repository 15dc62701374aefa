// Tests the messages that our own client sends, and the state that it shows.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { VERSIONS, answer, disconnectAll } from "../support/client.mjs";
import { content, file } from "../support/files.mjs";
import { Server } from "../support/server.mjs";
import { UploadPage } from "../support/upload-page.mjs";
import { Wire } from "../support/wire.mjs";

const CHUNK = 64_000;

let server;
let wire;
const open = (...args) => UploadPage.open({ server, wire }, ...args);

before(async () => {
  server = await Server.start("reference");
  wire = await Wire.to(server.port);
});
after(async () => {
  await wire.close();
  await server.stop();
});
afterEach(() => disconnectAll());

const errors = entries => entries.map(entry => entry.error);

describe("what arrives", () => {
  for (const size of [0, 1, CHUNK, CHUNK + 1, 5_000_000]) {
    test(`a file of ${size} bytes is stored byte for byte`, async () => {
      const page = await open();
      const [entry] = page.uploads.add([file("one.bin", size)]);
      assert.ok((await page.read("one.bin")).equals(content(size)));
      await page.is(entry, "done");
      await page.until(() => entry.taken, "the channel has taken it");
      assert.deepEqual([entry.progress, entry.sent, entry.error], [100, size, null]);
    });
  }

  // 1.3 cannot send binary payloads.
  for (const version of VERSIONS.filter(version => version >= "1.6")) {
    test(`phoenix ${version} carries it`, async () => {
      const page = await open("photos", {}, version);
      page.uploads.add([file("one.bin", 3 * CHUNK)]);
      assert.ok((await page.read("one.bin")).equals(content(3 * CHUNK)));
    });
  }

  test("as many are sent at once as the page wants, and the rest waits", async () => {
    const page = await open("photos", { parallel: 2 });
    let most = 0;
    page.uploads.addEventListener("change", () => {
      most = Math.max(most, page.uploads.entries.filter(entry => entry.status === "uploading").length);
    });
    const entries = page.uploads.add([1, 2, 3, 4, 5].map(n => file(`${n}.bin`, n * CHUNK)));
    await page.until(() => entries.every(entry => entry.taken), "all are taken");
    assert.equal(most, 2);
    for (const n of [1, 2, 3, 4, 5]) assert.ok((await page.read(`${n}.bin`)).equals(content(n * CHUNK)));
  });

  test("files wait for start(), and stay until a handler takes them", async () => {
    const page = await open("documents");
    const text = (name, words) => new File([words], name, { type: "text/plain" });
    const entries = page.uploads.add([text("a.txt", "first of all"), text("b.txt", "and the second")]);
    assert.deepEqual(entries.map(entry => entry.status), ["selected", "selected"]);
    page.uploads.start();
    await Promise.all(entries.map(entry => page.is(entry, "done")));
    assert.deepEqual(entries.map(entry => entry.taken), [false, false]);
    // Files that are done and not taken are found again.
    wire.cut();
    await Promise.all(entries.map(entry => page.is(entry, "waiting")));
    await Promise.all(entries.map(entry => page.is(entry, "done")));
    const saved = await answer(page.channel.push("save", {}));
    assert.deepEqual(saved, { status: "ok", response: ["first of all", "and the second"] });
    await page.until(() => entries.every(entry => entry.taken), "both are taken");
  });
});

describe("what goes wrong", () => {
  test("is the error of its file alone", async () => {
    const page = await open();
    const [huge, text, init, write, good] = page.uploads.add([
      file("huge.bin", 10_000_001),
      file("notes.txt", 5, { type: "text/plain" }),
      file("init_error.bin", 5),
      file("write_error.bin", 2 * CHUNK),
      file("good.bin", 2 * CHUNK),
    ]);
    await Promise.all([huge, text, init, write].map(entry => page.is(entry, "failed")));
    await page.is(good, "done");
    assert.deepEqual(errors([huge, text, init, write]), [
      { reason: "too_large", limit: 10_000_000 },
      { reason: "not_accepted" },
      { reason: "writer_failure", cause: "as_asked" },
      { reason: "writer_failure", cause: "as_asked" },
    ]);
    await page.until(() => page.uploads.config.active_refs.length === 0, "no place is kept for those that failed");
  });

  test("one that the channel does not want holds up no other", async () => {
    const page = await open();
    const [unwanted, refused, fine] = page.uploads.add([file("unwanted.bin", 5), file("refuse.bin", 5), file("fine.bin", 5)]);
    await Promise.all([page.is(unwanted, "failed"), page.is(refused, "failed"), page.is(fine, "done")]);
    assert.deepEqual(errors([unwanted, refused]), [{ reason: "unwanted" }, { reason: "not nice" }]);
  });

  test("too many are refused, and there is room again when others are taken or cancelled", async () => {
    const page = await open();
    const entries = page.uploads.add([1, 2, 3, 4, 5, 6].map(n => file(`${n}-slow.bin`, 3 * CHUNK)));
    assert.deepEqual(entries[5].error, { reason: "too_many_files", limit: 5 });
    page.uploads.cancel(entries[0]);
    page.uploads.retry(entries[5]);
    await page.release(5);
    await page.until(() => entries.slice(1).every(entry => entry.taken), "the others are taken");
    assert.equal(page.stored.length, 5);
  });

  test("a file that has failed can be tried again", async () => {
    const page = await open();
    const [entry] = page.uploads.add([file("write_error.bin", CHUNK + 1)]);
    await page.is(entry, "failed");
    page.uploads.retry(entry);
    assert.equal(entry.status, "queued");
    await page.is(entry, "failed");
    await page.until(() => page.closed.length === 2, "both writers are closed");
    assert.deepEqual(page.closed.map(({ why }) => why), ["error", "error"]);
  });

  test("where files are not sent by themselves, one that is wrong holds up the others until it is gone", async () => {
    const page = await open("documents");
    const [bad, good] = page.uploads.add([file("a.bin", 5), file("b.txt", 5, { type: "text/plain" })]);
    await page.is(bad, "failed");
    page.uploads.start();
    await page.is(good, "queued");
    await page.is(good, "selected");
    page.uploads.cancel(bad);
    page.uploads.start();
    await page.is(good, "done");
    assert.deepEqual(page.uploads.entries, [good]);
  });

  test("a file that is cancelled on its way leaves nothing", async () => {
    const page = await open();
    const [slow, other] = page.uploads.add([file("slow.bin", 5 * CHUNK), file("other.bin", CHUNK)]);
    await page.until(() => slow.sent === 2 * CHUNK, "two chunks are there");
    page.uploads.cancel(slow);
    assert.equal(slow.status, "cancelled");
    await page.release();
    await page.until(() => page.closed.some(({ name, why }) => name === "slow.bin" && why === "cancel"), "its writer is closed");
    await page.is(other, "done");
    assert.deepEqual(page.uploads.entries, [other]);
  });

  test("a file that is cancelled leaves nothing, though the channel hears of it late", async () => {
    const page = await open();
    const [big] = page.uploads.add([file("big.bin", 60 * CHUNK)]);
    await page.until(() => big.sent >= CHUNK, "a part of it is there");
    page.channel.push("hold", {});
    page.uploads.cancel(big);
    await page.release();
    // A writer that is kept for a resume would close much later.
    await page.until(() => page.closed.some(({ why }) => why === "cancel"), "its writer is closed");
  });

  test("a file that the server cancels is not tried again", async () => {
    const page = await open();
    const [slow] = page.uploads.add([file("slow.bin", 5 * CHUNK)]);
    await page.until(() => slow.sent === 2 * CHUNK, "two chunks are there");
    const [ref] = page.uploads.config.active_refs;
    await answer(page.channel.push("drop", ref));
    await page.release();
    await page.is(slow, "failed");
    assert.deepEqual(slow.error, { reason: "cancelled" });
  });

  test("a file that cannot be read is an error", async () => {
    const page = await open();
    const gone = file("gone.bin", 5);
    gone.slice = () => ({ arrayBuffer: () => Promise.reject(new Error("it was moved")) });
    const [entry] = page.uploads.add([gone]);
    await page.is(entry, "failed");
    assert.deepEqual(entry.error, { reason: "unreadable" });
  });
});

describe("what goes elsewhere", () => {
  const video = name => file(name, 100, { type: "video/mp4" });

  test("is done when its uploader says so and the server has verified it", async () => {
    const metas = [];
    const Elsewhere = entries => entries.forEach(entry => {
      metas.push(entry.meta);
      entry.progress(40);
      entry.progress(100);
    });
    const page = await open("videos", { uploaders: { Elsewhere } });
    const [entry] = page.uploads.add([video("a.mp4")]);
    await page.is(entry, "done");
    await page.until(() => page.stored.length === 1, "the channel has it");
    assert.deepEqual(metas, [{ uploader: "Elsewhere", url: "/elsewhere/a.mp4" }]);
  });

  test("is an error where it is not there, is given up, or nobody can send it", async () => {
    const Elsewhere = ([entry]) => (entry.file.name === "lost.mp4" ? entry.progress(100) : entry.error("offline"));
    const page = await open("videos", { uploaders: { Elsewhere } });
    const entries = page.uploads.add([video("lost.mp4"), video("failed.mp4")]);
    await Promise.all(entries.map(entry => page.is(entry, "failed")));
    assert.deepEqual(errors(entries), [{ reason: "not there" }, { reason: "external_client_failure", cause: "offline" }]);
    const without = await open("videos");
    const [nowhere] = without.uploads.add([video("a.mp4")]);
    assert.equal((await without.is(nowhere, "failed"), nowhere.error.reason), "no_uploader");
  });
});

// Tests Electric's published client against the example `shapes`.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { FetchError, Shape, ShapeStream, isChangeMessage } from "@electric-sql/client";

import { Server } from "../support/server.mjs";
import { within } from "../support/within.mjs";

let server;
before(async () => {
  server = await Server.start("shapes", { env: { POLL_MS: "2000", CHUNK_BYTES: "2000", ALLOW_DELETE: "true" } });
});
after(() => server?.stop());

async function write(method, path, body) {
  const answer = await fetch(server.url + path, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

const create = title => write("POST", "/todos", { title });
const change = (id, values) => write("PATCH", `/todos/${id}`, values);
const remove = id => write("DELETE", `/todos/${id}`);

/** Opens a stream that ends with the test. */
function stream(t, params = {}, options = {}) {
  const aborter = new AbortController();
  t.after(() => aborter.abort());
  const url = `${server.url}/v1/shape`;
  return new ShapeStream({ url, params: { table: "todos", ...params }, signal: aborter.signal, ...options });
}

/** Waits until `check` returns true for the shape's rows. */
function until(shape, check, what) {
  return within(new Promise(resolve => {
    const look = () => { if (check(shape.currentRows)) resolve(shape.currentRows); };
    const end = shape.subscribe(() => { look(); });
    shape.stream.subscribe(() => look(), () => {});
    look();
    void end;
  }), what);
}

const titles = rows => rows.map(row => row.title).sort();

/** Gives each test rows of its own. */
let words = 0;
const word = () => `w${++words}`;
const like = name => ({ where: "title LIKE $1", params: [`${name}%`] });

for (const [over, options] of [["long-poll", {}], ["SSE", { liveSse: true }]]) {
  describe(`@electric-sql/client over ${over}`, () => {
    test("rows of the snapshot, then inserts, updates and deletes as they happen", async t => {
      const name = word();
      const first = await create(`${name} a`);
      const shape = new Shape(stream(t, like(name), options));
      const rows = await within(shape.rows, "the snapshot");
      assert.deepEqual(rows, [{ id: BigInt(first.id), title: `${name} a`, done: false }]);

      const second = await create(`${name} b`);
      await until(shape, rows => rows.length === 2, "the insert");
      await change(first.id, { done: true });
      await until(shape, rows => rows.some(row => row.done), "the update");
      await remove(second.id);
      const left = await until(shape, rows => rows.length === 1, "the delete");
      assert.deepEqual(left, [{ id: BigInt(first.id), title: `${name} a`, done: true }]);
    });

    test("a row that moves into the clause comes, and one that moves out goes", async t => {
      const name = word();
      const { id } = await create(`other ${name}`);
      const shape = new Shape(stream(t, like(name), options));
      assert.deepEqual(await within(shape.rows, "the snapshot"), []);
      await change(id, { title: `${name} in` });
      await until(shape, rows => rows.length === 1, "the row comes");
      await change(id, { title: "out" });
      await until(shape, rows => rows.length === 0, "the row goes");
    });

    test("a shape that is deleted is begun again", async t => {
      const name = word();
      await create(`${name} a`);
      const live = stream(t, like(name), options);
      const shape = new Shape(live);
      await within(shape.rows, "the snapshot");
      const handle = live.shapeHandle;
      const query = new URLSearchParams({ handle });
      const answer = await fetch(`${server.url}/v1/shape?${query}`, { method: "DELETE" });
      assert.equal(answer.status, 202);
      await create(`${name} b`);
      const rows = await until(shape, rows => rows.length === 2, "the new snapshot");
      assert.deepEqual(titles(rows), [`${name} a`, `${name} b`]);
      assert.notEqual(live.shapeHandle, handle);
    });
  });
}

describe("@electric-sql/client", () => {
  test("a snapshot of many chunks has every row once", async t => {
    const name = word();
    for (let i = 0; i < 60; i++) await create(`${name} ${i} ${"x".repeat(60)}`);
    const shape = new Shape(stream(t, like(name)));
    const rows = await within(shape.rows, "the snapshot");
    assert.equal(rows.length, 60);
  });

  test("the transaction's id of a write comes with its change, also when nothing changed", async t => {
    const name = word();
    const { id } = await create(`${name} a`);
    const live = stream(t, like(name));
    const seen = new Set();
    let heard;
    const news = () => new Promise(resolve => { heard = resolve; });
    let next = news();
    live.subscribe(messages => {
      for (const message of messages) if (isChangeMessage(message)) message.headers.txids?.forEach(txid => seen.add(txid));
      heard();
    });
    await within(next, "the snapshot");
    const { txid } = await change(id, { title: `${name} a` });
    await within((async () => {
      while (!seen.has(txid)) { next = news(); if (!seen.has(txid)) await next; }
    })(), "the transaction's id");
  });

  test("only the columns that are asked for come", async t => {
    const name = word();
    await create(`${name} a`);
    const shape = new Shape(stream(t, { ...like(name), columns: ["id", "title"] }));
    const [row] = await within(shape.rows, "the snapshot");
    assert.deepEqual(Object.keys(row).sort(), ["id", "title"]);
  });

  test("a client goes on from the offset and handle that it kept", async t => {
    const name = word();
    await create(`${name} a`);
    const before = stream(t, like(name));
    await within(new Shape(before).rows, "the snapshot");
    const { lastOffset: offset, shapeHandle: handle } = before;
    await create(`${name} b`);
    const messages = await within(new Promise(resolve => {
      stream(t, like(name), { offset, handle }).subscribe(messages => {
        const changes = messages.filter(isChangeMessage);
        if (changes.length) resolve(changes);
      });
    }), "the change");
    assert.deepEqual(messages.map(m => m.value.title), [`${name} b`]);
  });

  for (const subsetMethod of ["GET", "POST"]) {
    test(`subsets by ${subsetMethod} beside a log of changes only`, async t => {
      const name = word();
      for (const letter of ["a", "b", "c"]) await create(`${name} ${letter}`);
      const live = stream(t, like(name), { log: "changes_only", subsetMethod });
      const shape = new Shape(live);
      assert.deepEqual(await within(shape.rows, "no snapshot"), []);
      const { data } = await within(live.requestSnapshot({
        where: "title <> $1", params: { 1: `${name} b` }, orderBy: "title DESC", limit: 2, method: subsetMethod,
      }), "the subset");
      assert.deepEqual(data.map(m => m.value.title), [`${name} c`, `${name} a`]);
      await create(`${name} d`);
      const rows = await until(shape, rows => rows.length === 3, "the change");
      assert.deepEqual(titles(rows), [`${name} a`, `${name} c`, `${name} d`]);
    });
  }

  test("a clause that is refused is an error that names it", async t => {
    const error = await within(new Promise(resolve => {
      stream(t, { where: "nope = 1" }, { onError: resolve }).subscribe(() => {});
    }), "the error");
    assert.ok(error instanceof FetchError);
    assert.equal(error.status, 400);
    assert.deepEqual(error.json.errors, { where: ["At location 0: unknown reference nope"] });
  });
});

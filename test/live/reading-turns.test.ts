import assert from "node:assert/strict";
import test from "node:test";
import { type PageReader, ReadingTurns } from "../../src/live/hub.ts";
import { eventually } from "../helpers/eventually.ts";

/** As the source has it. */
const PAGES_PER_TURN = 4;

class Reader implements PageReader {
  readonly connection: object;
  readonly #name: string;
  readonly #read: string[];
  pagesLeft: number;

  constructor(name: string, pages: number, read: string[], connection: object = {}) {
    this.#name = name;
    this.#read = read;
    this.pagesLeft = pages;
    this.connection = connection;
  }

  heldMs = 0;

  waitMs(): number {
    return this.heldMs;
  }

  readPage(): boolean {
    this.#read.push(this.#name);
    return --this.pagesLeft > 0;
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("pages are read at once while the turn has any left, the rest in later turns", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  turns.request(new Reader("a", 10, read));
  assert.equal(read.length, PAGES_PER_TURN);
  await nextTurn();
  assert.equal(read.length, 2 * PAGES_PER_TURN);
  await nextTurn();
  await nextTurn();
  assert.equal(read.length, 10);
  turns.request(new Reader("b", 1, read));
  assert.equal(read.at(-1), "b");
});

test("a turn reads a fixed number of pages, and each connection gets one before any gets a second", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  const greedy = {};
  for (let i = 0; i < 10; i++) turns.request(new Reader("greedy", 3, read, greedy));
  for (const name of ["b", "c"]) turns.request(new Reader(name, 2, read));
  assert.deepEqual(read, ["greedy", "greedy", "greedy", "greedy"]);
  await nextTurn();
  assert.deepEqual(read.slice(4), ["greedy", "b", "c", "greedy"]);
  await nextTurn();
  assert.deepEqual(read.slice(8), ["b", "c", "greedy", "greedy"]);
  for (let turn = 0; turn < 20; turn++) {
    const before = read.length;
    await nextTurn();
    assert.ok(read.length - before <= PAGES_PER_TURN);
  }
  assert.equal(read.length, 10 * 3 + 2 * 2);
});

test("a finished reader is not called again, and a waiting one keeps its position", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  turns.request(new Reader("a", PAGES_PER_TURN, read));
  const [b, c] = [new Reader("b", 1, read), new Reader("c", 1, read)];
  for (const reader of [b, c, b]) turns.request(reader);
  turns.cancel(c);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(read.slice(PAGES_PER_TURN), ["b"]);
});

test("a reader may request or cancel readers while it reads", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  const late = new Reader("late", 2, read);
  const first: PageReader = {
    connection: {},
    waitMs: () => 0,
    readPage() {
      read.push("first");
      turns.request(late);
      turns.cancel(first);
      return false;
    },
  };
  turns.request(first);
  for (let turn = 0; turn < 3; turn++) await nextTurn();
  assert.deepEqual(read, ["first", "late", "late"]);
});

test("a connection whose owner is in debt leaves the turns to others, and goes on in its order once that is paid", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  const connection = {};
  const readers = ["a", "b", "c"].map((name) => new Reader(name, 2, read, connection));
  const [a, b, c] = readers as [Reader, Reader, Reader];
  for (const reader of readers) reader.heldMs = 1;
  for (const reader of [a, b, c, a]) turns.request(reader);
  turns.request(new Reader("other", 2, read));
  assert.deepEqual(read, ["other", "other"]);
  turns.cancel(b);
  for (const reader of readers) reader.heldMs = 0;
  await eventually("the others have read", () => read.length === 6);
  assert.deepEqual(read.slice(2), ["a", "c", "a", "c"]);
  a.heldMs = 1;
  a.pagesLeft = 1;
  turns.request(a);
  turns.cancel(a);
  a.heldMs = 0;
  turns.request(a);
  await eventually("a cancelled reader is not held any more", () => read.length === 7);
});

test("a reader in debt that was requested while another of its connection read can be cancelled", async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  const connection = {};
  const requested = new Reader("requested", 1, read, connection);
  requested.heldMs = 1;
  let heldMs = 0;
  const reading: PageReader = {
    connection,
    waitMs: () => heldMs,
    readPage() {
      read.push("reading");
      heldMs = read.length === 1 ? 1 : 0;
      turns.request(requested);
      return heldMs > 0;
    },
  };
  turns.request(reading);
  turns.cancel(requested);
  requested.heldMs = 0;
  heldMs = 0;
  await eventually("the other reads on", () => read.includes("reading", 1));
  assert.deepEqual(read.slice(0, 2), ["reading", "reading"]);
});

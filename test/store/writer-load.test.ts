import assert from "node:assert/strict";
import test from "node:test";
import { WriterLoad, type WriterPlace } from "../../src/store/commit/writer-load.ts";

interface Commits {
  readonly rows: number;
  readonly tookMs: number;
  readonly perSecond: number;
  readonly seconds: number;
}

/** A writer that moves as soon as the load says so. */
class Writer {
  readonly #load = new WriterLoad();
  place: WriterPlace = "main";
  now = 0;
  /** In this run. */
  moves = 0;

  /** @returns how long the commits went on before the writer moved; all of them if it did not */
  run({ rows, tookMs, perSecond, seconds }: Commits): number {
    const startedAt = this.now;
    this.moves = 0;
    let movedAt = startedAt + seconds * 1000;
    for (let i = 0; i < seconds * perSecond; i++) {
      this.now += Math.max(1000 / perSecond, tookMs);
      const place = this.#load.committed(rows, tookMs, this.now);
      if (place === this.place) continue;
      if (this.moves++ === 0) movedAt = this.now;
      this.place = place;
      this.#load.moved(place, this.now);
    }
    return movedAt - startedAt;
  }
}

const LONE = { rows: 1, tookMs: 0.2, perSecond: 2500, seconds: 20 };
const FEW = { rows: 8, tookMs: 0.3, perSecond: 1500, seconds: 20 };
const MANY = { rows: 40, tookMs: 0.6, perSecond: 500, seconds: 5 };
const CALM = { rows: 1, tookMs: 0.2, perSecond: 100, seconds: 5 };

test("small quick commits stay in the main thread, however many they are; large ones move the writer at once", () => {
  const writer = new Writer();
  writer.run(LONE);
  writer.run(FEW);
  assert.equal(writer.place, "main");
  assert.ok(writer.run(MANY) < 100);
  assert.deepEqual([writer.place, writer.moves], ["thread", 1]);
});

test("it comes back after some seconds of small commits, and not while others are among them", () => {
  const writer = new Writer();
  writer.run(MANY);
  for (let i = 0; i < 20; i++) {
    writer.run({ ...CALM, seconds: 1 });
    writer.run({ ...MANY, perSecond: 200, seconds: 0.1 });
  }
  assert.deepEqual([writer.place, writer.moves], ["thread", 0]);
  const calmMs = writer.run(CALM);
  assert.ok(calmMs >= 2000 && calmMs <= 5000, String(calmMs));
  assert.deepEqual([writer.place, writer.moves], ["main", 1]);
});

test("the load between, which makes sets of 16 here and of 10 there, moves it neither way", () => {
  const writer = new Writer();
  writer.run({ rows: 16, tookMs: 0.4, perSecond: 1200, seconds: 20 });
  assert.equal(writer.place, "main");
  writer.run(MANY);
  writer.run({ rows: 14, tookMs: 0.4, perSecond: 1200, seconds: 20 });
  assert.deepEqual([writer.place, writer.moves], ["thread", 0]);
});

test("a load that comes and goes moves it seldom", () => {
  const writer = new Writer();
  let moves = 0;
  for (let i = 0; i < 200; i++) {
    writer.run({ ...MANY, seconds: 0.2 });
    moves += writer.moves;
    writer.run({ ...CALM, seconds: 2.9 });
    moves += writer.moves;
  }
  assert.ok(moves < 20, String(moves));
});

test("a disk that takes 20 ms for a commit keeps it in the thread, and so does one of 3 ms, however few commits there are", () => {
  for (const tookMs of [3, 20]) {
    const writer = new Writer();
    const after = writer.run({ rows: 1, tookMs, perSecond: 1, seconds: 30 });
    assert.equal(writer.place, "thread");
    assert.ok(after < (tookMs === 3 ? 25_000 : 5000), `${tookMs}: ${after}`);
    writer.run({ rows: 1, tookMs, perSecond: 40, seconds: 60 });
    assert.deepEqual([writer.place, writer.moves], ["thread", 0]);
  }
});

test("one slow commit among quick ones is chance", () => {
  const writer = new Writer();
  for (let i = 0; i < 20; i++) {
    writer.run({ ...LONE, seconds: 1 });
    writer.run({ rows: 1, tookMs: 15, perSecond: 1, seconds: 1 });
  }
  assert.equal(writer.place, "main");
});

test("a commit that hangs moves it, and for a day it does not come back", () => {
  const writer = new Writer();
  writer.run(LONE);
  writer.run({ rows: 1, tookMs: 5000, perSecond: 1, seconds: 1 });
  assert.equal(writer.place, "thread");
  writer.run({ ...CALM, seconds: 200 });
  assert.equal(writer.place, "thread");
  // In the thread as well.
  writer.run({ rows: 1, tookMs: 2000, perSecond: 1, seconds: 1 });
  writer.run({ ...CALM, perSecond: 1, seconds: 80_000 });
  assert.equal(writer.place, "thread");
  writer.run({ ...CALM, perSecond: 1, seconds: 7000 });
  assert.equal(writer.place, "main");
});

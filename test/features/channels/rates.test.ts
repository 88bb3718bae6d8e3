import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Rates } from "../../../src/features/channels/sending/sender.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";

const RATE = { perSecond: 5, burst: 50 };
const INTERVAL_MS = 1000 / RATE.perSecond;

function fractional(): FakeClock {
  return new FakeClock(0, { tickMs: 0.0037 });
}

/** Messages that wait, each with the time at which its job is due. */
class Line {
  readonly clock = fractional();
  readonly rates = new Rates(this.clock);
  readonly sent: string[] = [];
  /** Pages that wait. */
  pages = 0;
  /** How often a message was put back. */
  readonly returns = new Map<string, number>();
  readonly due = new Map<string, number>();

  come(id: string): void {
    const waitMs = this.rates.takeAfterPages("c", RATE, id, this.pages);
    assert.ok(Number.isSafeInteger(waitMs) && waitMs >= 0, String(waitMs));
    this.due.delete(id);
    if (waitMs === 0) this.sent.push(id);
    else {
      this.due.set(id, this.clock.now() + waitMs);
      this.returns.set(id, (this.returns.get(id) ?? 0) + 1);
    }
  }

  /** Lets time pass; each message comes at its time. */
  pass(ms: number): void {
    const until = this.clock.now() + ms;
    for (;;) {
      const [next] = [...this.due].sort(([, a], [, b]) => a - b);
      if (!next || next[1] > until) break;
      this.clock.advance(Math.max(0, next[1] - this.clock.now()));
      this.come(next[0]);
    }
    this.clock.advance(until - this.clock.now());
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `m${n}`);

test("a thousand messages of one channel wait at a time of their own each, and are put back once", () => {
  const line = new Line();
  for (const id of names(1000)) line.come(id);
  assert.equal(line.sent.length, RATE.burst);
  assert.equal(new Set(line.due.values()).size, 1000 - RATE.burst);
  line.pass(1000 * INTERVAL_MS);
  assert.deepEqual(line.sent, names(1000));
  assert.deepEqual(new Set(line.returns.values()), new Set([1]));
});

test("a message that comes early, such as after a restart of its queue, is given its time again", () => {
  const line = new Line();
  for (const id of names(60)) line.come(id);
  const before = new Map(line.due);
  line.clock.advance(10);
  for (const id of before.keys()) line.come(id);
  for (const [id, at] of line.due) assert.ok(Math.abs(at - (before.get(id) ?? 0)) <= 1, id);
});

test("a page takes the next turn, and the others follow in their order", () => {
  const line = new Line();
  for (const id of names(80)) line.come(id);
  line.pages = 10;
  for (let ms = 0; ms < 4000; ms += INTERVAL_MS) {
    line.pass(INTERVAL_MS);
    while (line.pages > 0 && line.rates.take("c", RATE) === 0) line.pages -= 1;
    if (line.pages > 0) assert.equal(line.sent.length, RATE.burst, "no other message goes before them");
  }
  assert.equal(line.pages, 0);
  line.pass(60_000);
  assert.deepEqual(line.sent, names(80));
  // Each time that passes while pages wait moves one message.
  assert.ok(
    [...line.returns.values()].every((count) => count <= 3),
    JSON.stringify([...line.returns]),
  );
});

test("a page that comes too early is given whole milliseconds, and takes no place in the line", () => {
  const clock = fractional();
  const rates = new Rates(clock);
  for (let n = 0; n < RATE.burst; n++) assert.equal(rates.take("c", RATE), 0);
  const waitMs = rates.take("c", RATE);
  assert.ok(Number.isSafeInteger(waitMs) && waitMs > 0 && waitMs <= INTERVAL_MS, String(waitMs));
  for (let n = 0; n < 100; n++) assert.ok(rates.take("c", RATE) <= INTERVAL_MS);
  clock.advance(waitMs);
  assert.equal(rates.take("c", RATE), 0);
});

test("after a time that the service named, messages go one at a time, in their order", () => {
  const line = new Line();
  line.come("first");
  line.rates.pause("c", 300_000);
  for (const id of names(30)) line.come(id);
  line.pass(299_000);
  assert.deepEqual(line.sent, ["first"]);
  line.pass(1000 + INTERVAL_MS);
  assert.ok(line.sent.length <= 3, String(line.sent.length));
  line.pass(30 * INTERVAL_MS);
  assert.deepEqual(line.sent, ["first", ...names(30)]);
});

test("a pause that the service did not name holds messages, and no page", () => {
  const line = new Line();
  line.come("first");
  line.rates.pause("c", 60_000, true);
  line.come("second");
  assert.equal(line.rates.take("c", RATE), 0);
  assert.ok(line.rates.take("c", RATE) > 0, "one at a time");
  line.pass(59_000);
  assert.deepEqual(line.sent, ["first"]);
  line.pass(2000);
  assert.deepEqual(line.sent, ["first", "second"]);
});

test("a message that was cancelled holds up the others for some seconds at most", () => {
  const line = new Line();
  for (const id of names(60)) line.come(id);
  line.due.delete("m50");
  line.due.delete("m51");
  line.pass(20_000);
  const expected = names(60).filter((id) => id !== "m50" && id !== "m51");
  assert.deepEqual(line.sent, expected);
});

test("whatever happens, no more than the rate is sent, all times are whole, and each message has its turn", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("come" as const), n: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ do: fc.constant("page" as const), n: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ do: fc.constant("pause" as const), n: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ do: fc.constant("pass" as const), n: fc.integer({ min: 0, max: 3000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const line = new Line();
      let [count, pages] = [0, 0];
      for (const { do: what, n } of steps) {
        if (what === "come") for (let at = 0; at < n; at++) line.come(`m${count++}`);
        else if (what === "pause") line.rates.pause("c", n + 0.5);
        else if (what === "pass") line.pass(n);
        else for (let at = 0; at < n; at++) pages += line.rates.take("c", RATE) === 0 ? 1 : 0;
        const most = RATE.burst + (line.clock.elapsed() * RATE.perSecond) / 1000 + 1;
        assert.ok(line.sent.length + pages <= most, `${line.sent.length} and ${pages}`);
      }
      line.pass(600_000);
      assert.deepEqual(line.sent, names(count));
    }),
    { numRuns: 200 },
  );
});

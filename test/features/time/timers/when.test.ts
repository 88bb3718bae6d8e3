import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { makeServiceToken } from "../../../http/support/access/makers.ts";

interface Made {
  readonly jobId: string;
  readonly runAt: string;
  readonly state: string;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MINUTE = 60_000;

async function server(t: TestContext) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  // An access token has an end, which these clocks jump over.
  const { token } = await makeServiceToken(prism, prism.parts.offers.devUserId ?? "");
  const make = async (label: string, when: object): Promise<Made> => {
    const action = { type: "event", event: "rang", payload: { label }, persist: true };
    const reply = await answered(201, prism.post<Made>("/api/v1/time/trigger", { label, ...when, action }, { token }));
    return reply.body;
  };
  /** The runner waits by the real clock, and reads the fake one when it is notified of jobs. */
  const look = async (): Promise<void> => {
    prism.parts.offers.runner.enqueued([]);
    await prism.parts.base.store.committer.settled();
  };
  const stateOf = ({ jobId }: Made) => scalarOf<string>(prism, "select state from jobs where id = ?", jobId);
  const rang = () => rowsOf<{ label: string }>(prism, "select payload ->> 'label' as label from events order by seq");
  const fired = (made: Made) => eventually("it has fired", () => stateOf(made) === "succeeded");
  return { prism, clock, make, look, stateOf, rang, fired };
}

test("runAt is an instant, whatever its offset; one that is past fires at once", async (t) => {
  const { clock, make, look, stateOf, fired } = await server(t);
  const at = new Date(clock.now() + HOUR);
  const abroad = `${new Date(at.getTime() + 2 * HOUR).toISOString().slice(0, -1)}+02:00`;
  const later = await make("later", { runAt: abroad });
  assert.deepEqual([later.runAt, later.state], [at.toISOString(), "scheduled"]);
  const past = await make("past", { runAt: "2001-01-01T00:00:00Z" });
  assert.deepEqual([past.runAt, past.state], [new Date(clock.now()).toISOString(), "ready"]);
  await fired(past);
  clock.advance(HOUR - 1);
  await look();
  assert.equal(stateOf(later), "scheduled");
  clock.advance(1);
  await look();
  await fired(later);
});

test("8.2: a clock set an hour ahead fires what is due by it, once; set back again, what waits keeps its delay", async (t) => {
  const { clock, make, look, stateOf, rang, fired } = await server(t);
  const soon = await make("soon", { delayMs: 30 * MINUTE });
  const instant = await make("instant", { runAt: new Date(clock.now() + 2 * HOUR).toISOString() });
  clock.set(HOUR);
  await look();
  await fired(soon);
  const meanwhile = await make("meanwhile", { delayMs: 10 * MINUTE });
  clock.set(-HOUR);
  await look();
  assert.equal(stateOf(meanwhile), "scheduled");
  clock.advance(10 * MINUTE);
  await look();
  await fired(meanwhile);
  assert.equal(stateOf(instant), "scheduled");
  clock.advance(2 * HOUR);
  await look();
  await fired(instant);
  assert.deepEqual(valuesOf(rang(), "label"), ["soon", "meanwhile", "instant"]);
});

test("8.2: a clock set an hour back makes no timer wait longer than its delay", async (t) => {
  const { clock, make, look, fired, rang } = await server(t);
  clock.advance(3 * HOUR);
  const made = await make("delayed", { delayMs: 20 * MINUTE });
  clock.set(-HOUR);
  await look();
  clock.advance(20 * MINUTE);
  await look();
  await fired(made);
  assert.equal(rang().length, 1);
});

test("8.2: a machine asleep for a day fires on waking what was due meanwhile, once each, and leaves the rest", async (t) => {
  const { clock, make, look, stateOf, fired, rang } = await server(t);
  const first = await make("first", { delayMs: HOUR });
  const second = await make("second", { runAt: new Date(clock.now() + 20 * HOUR).toISOString() });
  const tomorrow = await make("tomorrow", { delayMs: 25 * HOUR });
  // Elapsed time does not advance while a machine sleeps: only the wall clock has moved.
  clock.set(DAY);
  await look();
  await fired(first);
  await fired(second);
  await look();
  assert.equal(stateOf(tomorrow), "scheduled");
  assert.deepEqual(valuesOf(rang(), "label"), ["first", "second"]);
  clock.advance(HOUR);
  await look();
  await fired(tomorrow);
});

test("the timers that came due while nothing ran fire at the start", async (t) => {
  const { prism, clock, make, fired, stateOf } = await server(t);
  const due = await make("due", { delayMs: HOUR });
  const waits = await make("waits", { runAt: new Date(clock.now() + DAY).toISOString() });
  await prism.stop();
  clock.set(2 * HOUR);
  await prism.restart();
  await fired(due);
  assert.equal(stateOf(waits), "scheduled");
});

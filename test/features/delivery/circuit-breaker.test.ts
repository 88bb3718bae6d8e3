import assert from "node:assert/strict";
import test from "node:test";
import { silentLogger } from "../../../src/core/log.ts";
import { CircuitBreaker } from "../../../src/features/delivery/circuits.ts";
import { PermanentError } from "../../../src/features/time/jobs/index.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";

const DOWN = new Error("down");

function circuit() {
  const clock = new FakeClock();
  return { clock, breaker: new CircuitBreaker("email", clock, silentLogger) };
}

test("five failures in a row open a circuit; an answer between them does not let them add up", () => {
  const { breaker } = circuit();
  for (let n = 0; n < 4; n++) breaker.failed(DOWN);
  breaker.answered();
  for (let n = 0; n < 4; n++) breaker.failed(DOWN);
  assert.deepEqual([breaker.state, breaker.waitMs()], ["closed", 0]);
  breaker.failed(DOWN);
  assert.deepEqual([breaker.state, breaker.waitMs()], ["open", 30_000]);
});

test("an answer that refuses the message is the last failure, and no reason for a pause", () => {
  const { breaker } = circuit();
  breaker.accepted();
  const { lastSuccessAt } = breaker.facts;
  for (let n = 0; n < 6; n++) breaker.refused(new PermanentError("answered 404"));
  const { state, lastError, lastFailureAt } = breaker.facts;
  assert.deepEqual([state, breaker.isReached, lastError], ["closed", true, "answered 404"]);
  assert.ok(lastFailureAt !== null);
  assert.equal(breaker.facts.lastSuccessAt, lastSuccessAt);
});

test("after the pause one attempt goes, and its answer closes the circuit", () => {
  const { clock, breaker } = circuit();
  breaker.open(DOWN);
  clock.advance(30_000);
  assert.equal(breaker.state, "half-open");
  assert.equal(breaker.waitMs(), 0);
  assert.deepEqual([breaker.state, breaker.waitMs()], ["open", 30_000], "others wait for its answer");
  breaker.answered();
  assert.deepEqual([breaker.state, breaker.waitMs()], ["closed", 0]);
});

test("a pause is as long as it is, whatever the clock is set to", () => {
  const { clock, breaker } = circuit();
  breaker.open(DOWN);
  clock.set(-3_600_000);
  assert.equal(breaker.waitMs(), 30_000);
  clock.advance(29_999);
  clock.set(7_200_000);
  assert.deepEqual([breaker.state, breaker.waitMs()], ["open", 1]);
  clock.advance(1);
  assert.equal(breaker.waitMs(), 0);
});

test("each trial that fails makes the next pause twice as long, up to ten minutes", () => {
  const { clock, breaker } = circuit();
  breaker.open(DOWN);
  const pauses: number[] = [];
  for (let n = 0; n < 7; n++) {
    const waitMs = breaker.waitMs();
    pauses.push(waitMs);
    clock.advance(waitMs);
    assert.equal(breaker.waitMs(), 0);
    breaker.failed(DOWN);
  }
  assert.deepEqual(pauses, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  clock.advance(600_000);
  breaker.waitMs();
  breaker.answered();
  breaker.open(DOWN);
  assert.equal(breaker.waitMs(), 30_000, "an answer makes everything forgotten");
});

test("a trial that came to nothing lets the next one go", () => {
  const { clock, breaker } = circuit();
  breaker.open(DOWN);
  clock.advance(30_000);
  assert.equal(breaker.waitMs(), 0);
  breaker.abandoned();
  assert.equal(breaker.waitMs(), 0);
});

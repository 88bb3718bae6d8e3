import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { RateLimiter, rateLimitLines } from "../../src/http/limits/rate-limiter.ts";
import { FakeClock } from "../helpers/fake-clock.ts";

const MINUTE_MS = 60_000;

function limiterWith(maxBuckets?: number): { limiter: RateLimiter; clock: FakeClock } {
  const clock = new FakeClock();
  return { limiter: new RateLimiter(clock, maxBuckets), clock };
}

function takeMany(limiter: RateLimiter, times: number, key: string, limit: number, coarseKey = ""): number {
  let allowed = 0;
  for (let i = 0; i < times; i++) if (limiter.take(key, limit, 1, coarseKey).isAllowed) allowed++;
  return allowed;
}

test("a bucket holds a minute's worth, and gives no more until time has passed", () => {
  const { limiter, clock } = limiterWith();
  assert.equal(takeMany(limiter, 100, "a", 60), 60);
  clock.advance(MINUTE_MS / 2);
  assert.equal(takeMany(limiter, 100, "a", 60), 30);
  clock.advance(10 * MINUTE_MS);
  assert.equal(takeMany(limiter, 100, "a", 60), 60, "it never holds more than a minute's worth");
});

test("callers are counted apart", () => {
  const { limiter } = limiterWith();
  assert.equal(takeMany(limiter, 5, "a", 3), 3);
  assert.equal(takeMany(limiter, 5, "b", 3), 3);
});

test("the answer to a refusal says when the next request will be served", () => {
  const { limiter, clock } = limiterWith();
  takeMany(limiter, 60, "a", 60);
  const refused = limiter.take("a", 60);
  assert.equal(refused.isAllowed, false);
  clock.advance(refused.waitMs(1));
  assert.equal(limiter.take("a", 60).isAllowed, true);
});

test("a count above the limit is given by a full bucket, which is then in debt", () => {
  const { limiter, clock } = limiterWith();
  assert.equal(limiter.take("a", 100, 1000).isAllowed, true);
  assert.match(rateLimitLines(limiter.take("a", 100)), /RateLimit-Remaining: 0\r\n/);
  clock.advance(9 * MINUTE_MS);
  assert.equal(limiter.take("a", 100).isAllowed, false, "nine minutes pay for nine hundred");
  clock.advance(MINUTE_MS / 100);
  assert.equal(limiter.take("a", 100).isAllowed, true);
});

test("RateLimit-* say the limit, what is left, and when the bucket will be full again", () => {
  const { limiter } = limiterWith();
  takeMany(limiter, 30, "a", 60);
  assert.equal(
    rateLimitLines(limiter.take("a", 60)),
    "RateLimit-Limit: 60\r\nRateLimit-Remaining: 29\r\nRateLimit-Reset: 31\r\n",
  );
});

test("a clock that goes back gives nothing and takes nothing", () => {
  const { limiter, clock } = limiterWith();
  takeMany(limiter, 60, "a", 60);
  clock.advance(-MINUTE_MS);
  assert.equal(limiter.take("a", 60).isAllowed, false);
  clock.advance(MINUTE_MS + 1000);
  assert.equal(limiter.take("a", 60).isAllowed, true);
});

test("a spent bucket refills as time passes, though the clock was set back an hour", () => {
  const { limiter, clock } = limiterWith();
  takeMany(limiter, 60, "a", 60);
  clock.set(-60 * MINUTE_MS);
  clock.advance(10_000);
  assert.equal(takeMany(limiter, 60, "a", 60), 10);
  assert.equal(limiter.take("a", 60).waitMs(1), 1000);
  clock.set(120 * MINUTE_MS);
  assert.equal(takeMany(limiter, 60, "a", 60), 0, "nor does setting it forward give anything");
});

test("another limit begins with another bucket", () => {
  const { limiter } = limiterWith();
  takeMany(limiter, 60, "a", 60);
  assert.equal(limiter.take("a", 120).isAllowed, true);
});

test("a full table forgets the callers whose buckets are full again", () => {
  const { limiter, clock } = limiterWith(10);
  for (let i = 0; i < 10; i++) limiter.take(`old-${i}`, 60);
  clock.advance(MINUTE_MS);
  assert.equal(takeMany(limiter, 1, "new", 60, "group"), 1);
  assert.equal(takeMany(limiter, 100, "new", 60, "group"), 59, "it is counted by itself");
});

test("a full table of callers that are all being counted takes newcomers by their group", () => {
  const { limiter } = limiterWith(10);
  for (let i = 0; i < 10; i++) takeMany(limiter, 60, `busy-${i}`, 60);
  let allowed = 0;
  for (let i = 0; i < 200; i++) if (limiter.take(`new-${i}`, 60, 1, "group").isAllowed) allowed++;
  assert.equal(allowed, 60, "two hundred newcomers of one group have what one caller has");
  assert.equal(limiter.take("other", 60, 1, "other group").isAllowed, true);
});

test("being forgotten again and again gives callers no more than their group has", () => {
  const { limiter } = limiterWith(1);
  let allowed = 0;
  for (let i = 0; i < 5000; i++) if (limiter.take(`caller-${i % 50}`, 60, 1, "group").isAllowed) allowed++;
  assert.equal(allowed, 120, "what the group has, and what the one caller has who is remembered");
});

test("in no order of requests and pauses more is served than the limit and its refill", () =>
  fc.assert(
    fc.property(
      fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 5000 }), count: fc.integer({ min: 1, max: 20 }) })),
      (steps) => {
        const { limiter, clock } = limiterWith();
        const startedAt = clock.now();
        let served = 0;
        for (const { waitMs, count } of steps) {
          clock.advance(waitMs);
          if (limiter.take("a", 60, count).isAllowed) served += count;
        }
        return served <= 60 + ((clock.now() - startedAt) * 60) / MINUTE_MS + 1e-6;
      },
    ),
    { seed: 20260101 },
  ));

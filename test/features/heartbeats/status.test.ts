import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { nextElapse, readOnCalendar } from "../../../src/features/heartbeats/on-calendar.ts";
import {
  afterPing,
  afterTimeout,
  alertOf,
  dueAtOf,
  type Flip,
  fairDueAt,
  type HeartbeatState,
  type PingPlan,
  paused,
  resumed,
  shownStatus,
} from "../../../src/features/heartbeats/status.ts";
import type { PingKind } from "../../../src/store/schema.ts";

const NEW: HeartbeatState = {
  status: "new",
  lastPingAt: null,
  lastStartAt: null,
  lastStartRid: null,
  lastDurationMs: null,
};
const PLAN: PingPlan = { kind: "simple", timeoutMs: 60_000, graceMs: 60_000, schedule: null, timezone: "UTC" };

type Step =
  | { readonly do: "ping"; readonly kind: PingKind; readonly rid: string | null }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "pause" | "resume" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("ping" as const),
    kind: fc.constantFrom<PingKind>("success", "start", "fail", "log", "ignored"),
    rid: fc.constantFrom(null, "a", "b"),
  }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 200_000 }) }),
  fc.record({ do: fc.constantFrom("pause" as const, "resume" as const) }),
);

/** Plays steps with a sender of alerts that looks after each of them. */
function play(steps: readonly Step[]) {
  let now = 1_000_000;
  let state = NEW;
  const flips: Flip[] = [];
  const apply = (change: { state: HeartbeatState; flip: Flip | null } | null): void => {
    if (!change) return;
    state = change.state;
    if (change.flip) flips.push(change.flip);
  };
  const seen: { readonly state: HeartbeatState; readonly now: number; readonly step: Step }[] = [];
  for (const each of steps) {
    if (each.do === "wait") now += each.ms;
    else if (each.do === "ping") apply(afterPing(state, each.kind, each.rid, now));
    else apply(each.do === "pause" ? paused(state, now) : resumed(state, now));
    const dueAt = dueAtOf(PLAN, state);
    if (dueAt !== null && dueAt <= now) apply(afterTimeout(PLAN, state, dueAt));
    seen.push({ state, now, step: each });
  }
  return { flips, seen };
}

test("whatever is pinged, paused and waited for: flips chain, alerts alternate, and the shown status is the stored one", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { flips, seen } = play(steps);
      let before: string = "new";
      let isOpen = false;
      for (const flip of flips) {
        assert.equal(flip.from, before);
        assert.notEqual(flip.from, flip.to);
        before = flip.to;
        const action = alertOf(flip);
        if (action === "open") assert.equal(isOpen, false);
        if (action === "resolve") assert.equal(isOpen, true);
        if (action !== null) isOpen = action === "open";
      }
      for (const { state, now, step: done } of seen) {
        const shown = shownStatus(PLAN, state, now);
        assert.equal(shown === "grace" ? "up" : shown, state.status);
        if (state.status === "down" || state.status === "paused") assert.equal(dueAtOf(PLAN, state), null);
        if (done.do === "ping" && done.kind === "success" && done.rid === null) assert.equal(state.status, "up");
        if (done.do === "ping" && done.kind === "fail") assert.equal(state.status, "down");
        if (state.lastDurationMs !== null) assert.ok(state.lastDurationMs >= 0);
      }
    }),
  );
});

test("a log or an ignored ping changes no state, so it rescues nothing", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom<PingKind>("log", "ignored"), (steps, kind) => {
      const { state = NEW, now = 0 } = play(steps).seen.at(-1) ?? {};
      assert.deepEqual(afterPing(state, kind, null, now), { state, flip: null, durationMs: null });
    }),
  );
});

test("a run is ended by its own id, by a ping without one and by a failure, not by another run's success", () => {
  const started = afterPing(NEW, "start", "a", 1000).state;
  assert.equal(afterPing(started, "success", "b", 5000).state.lastStartAt, 1000);
  const rows = [
    afterPing(started, "success", "a", 5000),
    afterPing(started, "success", null, 5000),
    afterPing(started, "fail", "b", 5000),
  ].map(({ state, durationMs }) => [state.lastStartAt, durationMs]);
  assert.deepEqual(rows, [
    [null, 4000],
    [null, null],
    [null, null],
  ]);
});

test("a start on a new heartbeat is due after the grace time; on a paused one it is not", () => {
  assert.equal(dueAtOf(PLAN, afterPing(NEW, "start", null, 1000).state), 61_000);
  const stopped = paused(NEW, 0)?.state ?? NEW;
  assert.equal(dueAtOf(PLAN, afterPing(stopped, "start", null, 1000).state), null);
});

test("after a down time of the server each heartbeat gets that long again, at most its grace time", () => {
  const back = { at: 1_000_000, downMs: 3_600_000 };
  assert.equal(fairDueAt(900_000, 60_000, back), 1_060_000);
  assert.equal(fairDueAt(900_000, 7_200_000, back), 4_600_000);
  assert.equal(fairDueAt(9_000_000, 60_000, back), 9_000_000);
});

test("calendar expressions elapse as in systemd.time(7)", () => {
  for (const [expression, zone, after, expected] of [
    ["minutely", "UTC", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"],
    ["hourly", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"],
    ["daily", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T22:00:00Z"],
    ["weekly", "UTC", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"],
    ["monthly", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"],
    ["quarterly", "UTC", "2026-01-02T00:00:00Z", "2026-04-01T00:00:00Z"],
    ["semiannually", "UTC", "2026-01-02T00:00:00Z", "2026-07-01T00:00:00Z"],
    ["yearly", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
    ["Mon..Fri 08:00", "UTC", "2026-01-02T09:00:00Z", "2026-01-05T08:00:00Z"],
    ["Thu,Fri 2012-*-1,5 11:12:13", "UTC", "2011-12-31T00:00:00Z", "2012-01-05T11:12:13Z"],
    ["*-02-29 12:00", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z"],
    ["*-02~03", "UTC", "2026-01-01T00:00:00Z", "2026-02-26T00:00:00Z"],
    ["Mon *-05~07/1", "UTC", "2026-01-01T00:00:00Z", "2026-05-25T00:00:00Z"],
    ["*-*~1 23:00", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T23:00:00Z"],
    ["*:0/15", "UTC", "2026-01-01T00:01:00Z", "2026-01-01T00:15:00Z"],
    ["05:40:23/10", "UTC", "2026-01-01T05:40:24Z", "2026-01-01T05:40:33Z"],
    ["08:00 Europe/Berlin", "UTC", "2026-07-01T00:00:00Z", "2026-07-01T06:00:00Z"],
    ["2003-03-05", "UTC", "2026-01-01T00:00:00Z", null],
    ["03-05 05:40", "UTC", "2026-01-01T00:00:00Z", "2026-03-05T05:40:00Z"],
    // Clocks skip 02:30 on this day, and show it twice on the other one.
    ["02:30", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-30T00:30:00Z"],
    ["02:30", "Europe/Berlin", "2026-10-24T02:00:00Z", "2026-10-25T00:30:00Z"],
    ["02:30", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    ["12:00\nSat 09:00", "UTC", "2026-01-02T13:00:00Z", "2026-01-03T09:00:00Z"],
  ] as const) {
    const at = nextElapse(readOnCalendar(expression), zone, Date.parse(after));
    assert.equal(at, expected === null ? null : Date.parse(expected), expression);
  }
});

test("a text that is no calendar expression is refused", () => {
  for (const text of ["", "UTC", "Foo 08:00", "25:00", "*-13-01", "08:00:00.5", "08:00 Mars/Olympus", "1 2 3", "*:0/0"])
    assert.throws(() => readOnCalendar(text), { code: "INVALID_CRON" }, text);
});

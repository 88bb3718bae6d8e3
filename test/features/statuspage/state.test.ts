import assert from "node:assert/strict";
import test from "node:test";
import { dayFacts, disturbances, lastDays, uptimeOf } from "../../../src/features/statuspage/state.ts";
import { rowsWith } from "../../helpers/values.ts";

const HOUR_MS = 3_600_000;
const at = (text: string): number => Date.parse(text);

test("the days on which clocks change have 23 and 25 hours, and uptime is a share of them", () => {
  for (const [now, date, hours] of [
    ["2026-03-29T20:00:00Z", "2026-03-29", 23],
    ["2026-10-25T20:00:00Z", "2026-10-25", 25],
    ["2026-11-21T20:00:00Z", "2026-11-21", 24],
  ] as const) {
    const [day] = lastDays(1, "Europe/Berlin", at(now));
    assert.ok(day);
    assert.deepEqual([day.date, (day.to - day.from) / HOUR_MS], [date, hours]);
    const outage = [
      { at: day.from - HOUR_MS, state: "operational" as const },
      { at: day.from + HOUR_MS, state: "outage" as const },
      { at: day.from + 2 * HOUR_MS, state: "operational" as const },
    ];
    const facts = dayFacts(outage, day, day.to);
    assert.deepEqual([facts.state, facts.downMs, facts.knownMs], ["outage", HOUR_MS, hours * HOUR_MS]);
    assert.equal(facts.uptime, 1 - 1 / hours);
  }
});

test("a day without a midnight starts with its first instant", () => {
  // At midnight of 29 March 2026 clocks in Beirut went to one o'clock.
  const [before, day] = lastDays(2, "Asia/Beirut", at("2026-03-29T12:00:00Z"));
  assert.equal(day?.date, "2026-03-29");
  assert.deepEqual([new Date(day?.from ?? 0).toISOString(), before?.to], ["2026-03-28T22:00:00.000Z", day?.from]);
  assert.equal(((day?.to ?? 0) - (day?.from ?? 0)) / HOUR_MS, 23);
});

test("time before the first change is unknown, degraded and maintenance are up, today counts until now", () => {
  const now = at("2026-11-21T12:00:00Z");
  const days = lastDays(3, "UTC", now);
  const changes = [
    { at: at("2026-11-20T06:00:00Z"), state: "operational" as const },
    { at: at("2026-11-20T12:00:00Z"), state: "degraded" as const },
    { at: at("2026-11-20T18:00:00Z"), state: "maintenance" as const },
    { at: at("2026-11-21T00:00:00Z"), state: "partial" as const },
    { at: at("2026-11-21T03:00:00Z"), state: "operational" as const },
  ];
  const facts = days.map((day) => dayFacts(changes, day, now));
  assert.deepEqual(rowsWith(facts, "state", "uptime"), [
    [null, null],
    ["degraded", 1],
    ["partial", 0.75],
  ]);
  assert.equal(uptimeOf(facts), 0.9);
  assert.equal(uptimeOf([]), null);
  assert.deepEqual(disturbances(changes), [
    { from: at("2026-11-20T12:00:00Z"), to: at("2026-11-21T03:00:00Z"), state: "partial" },
  ]);
});

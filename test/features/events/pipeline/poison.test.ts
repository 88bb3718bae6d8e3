import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { RuleRow } from "../../../../src/features/rules/rule.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { allDecided } from "./support/all-decided.ts";

interface Poison {
  prism: TestPrism;
  ruleIds: string[];
  /** From now on the event is as good as any other. */
  cure(): void;
}

/** Two rules match `{type:"x"}`; for one of them events with `bad` are poison. */
async function poison(t: TestContext, way: "sql" | "rendering", options: PrismOptions = {}): Promise<Poison> {
  const prism = await startPrism(t, options);
  const ruleIds: string[] = [];
  for (const rule of [
    { name: "good", condition: "event.type == 'x'" },
    { name: "spoilt", condition: "event.type == 'x' && event.bad == true", titleTemplate: "bad {{event.n}}" },
  ]) {
    const { body } = await prism.post<{ id: string }>("/api/v1/rules", { ...rule, targetUsers: ["me"] });
    ruleIds.push(body.id);
  }
  if (way === "sql") {
    const beside = openBeside(t, join(prism.dir, "prism.db"));
    beside.exec(`create trigger refuse before insert on notifications when new.title like 'bad%'
                 begin select raise(abort, 'refused by a trigger'); end`);
    return { prism, ruleIds, cure: () => beside.exec("drop trigger refuse") };
  }
  const [row] = rowsOf<RuleRow>(prism, "select * from rules where name = 'spoilt'");
  assert.ok(row);
  const { rules } = prism.parts.offers;
  rules.put({ ...row, targetRoles: "not JSON" });
  return { prism, ruleIds, cure: () => rules.put(row) };
}

const totals = (prism: TestPrism, ruleId: string) =>
  rowsOf(prism, "select matched, fired from rule_stats where ruleId = ?", ruleId)[0];

for (const way of ["sql", "rendering"] as const) {
  test(`S2-31: a poison event (${way}) harms none of its neighbours, and a job decides it once it can be`, async (t) => {
    keepsPromise(t, "S2-31");
    const { prism, ruleIds, cure } = await poison(t, way);
    const reply = await prism.post<{ accepted: number; results: { id: string }[] }>(
      "/api/v1/events",
      [1, 2, 3].map((n) => ({ type: "x", payload: { n, bad: n === 2 } })),
    );
    assert.deepEqual([reply.status, reply.body.accepted], [202, 3]);
    await allDecided(prism, 1);
    const decided = "select eventSeq, count(*) as n from decisions group by eventSeq order by eventSeq";
    assert.deepEqual(rowsOf(prism, decided), [
      { eventSeq: 1, n: 1 },
      { eventSeq: 3, n: 1 },
    ]);
    assert.deepEqual(rowsOf(prism, "select seq from events where processedAt is null"), [{ seq: 2 }]);
    const [failure] = rowsOf<Record<string, unknown>>(prism, "select * from event_failures");
    assert.deepEqual([failure?.["consumer"], failure?.["eventSeq"], failure?.["resolvedAt"]], ["rule-engine", 2, null]);
    const shown = await prism.get<{ failure: Record<string, unknown> }>(`/api/v1/events/${reply.body.results[1]?.id}`);
    // The job may have tried again meanwhile.
    const { attempts, ...others } = shown.body.failure;
    assert.ok(Number(attempts) >= Number(failure?.["attempts"]));
    assert.deepEqual(others, {
      consumer: "rule-engine",
      lastError: failure?.["lastError"],
      jobId: failure?.["jobId"],
    });
    assert.equal(scalarOf(prism, "select queue from jobs where id = ?", failure?.["jobId"]), "event-processing");
    assert.equal(prism.parts.offers.backlog.isBehind, false);
    const next = await prism.post<{ seq: number }>("/api/v1/events", { type: "x" });
    assert.notEqual(scalarOf(prism, "select processedAt from events where seq = ?", next.body.seq), null);
    assert.deepEqual(totals(prism, ruleIds[0] ?? ""), { matched: 3, fired: 3 });

    await eventually(
      "the job has failed too, and says so",
      () => Number(scalarOf(prism, "select attempts from event_failures")) >= 2,
    );
    cure();
    await eventually("the failure is resolved", () => scalarOf(prism, "select resolvedAt from event_failures"));
    assert.deepEqual(rowsOf(prism, "select ruleId, outcome from decisions where eventSeq = 2 order by ruleId"), [
      { ruleId: ruleIds[0], outcome: "fired" },
      { ruleId: ruleIds[1], outcome: "fired" },
    ]);
    assert.equal(scalarOf(prism, "select count(*) from events where processedAt is null"), 0);
    assert.equal(countOf(prism, "notifications"), 5);
    assert.deepEqual(
      ruleIds.map((id) => totals(prism, id)),
      [
        { matched: 4, fired: 4 },
        { matched: 1, fired: 1 },
      ],
    );
    await eventually("the job has succeeded", () => scalarOf(prism, "select state from jobs") === "succeeded");
    assert.equal(countOf(prism, "jobs"), 1);
    const after = await prism.get(`/api/v1/events/${reply.body.results[1]?.id}`);
    assert.equal("failure" in after.body, false);
  });
}

test("a poison event among those that wait to be decided does not stop the others", async (t) => {
  const { prism, cure } = await poison(t, "sql");
  for (let i = 0; i < 12; i++)
    await prism.post("/api/v1/rules", { name: `s${i}`, condition: "event.storm == true", targetUsers: ["me"] });
  const events = Array.from({ length: 600 }, (_, n) => ({ type: "x", payload: { n, storm: true, bad: n === 500 } }));
  await prism.post("/api/v1/events", events);
  await eventually(
    "only the bad one is left",
    () => scalarOf(prism, "select count(*) from events where processedAt is null") === 1,
  );
  assert.equal(scalarOf(prism, "select eventSeq from event_failures"), 501);
  assert.equal(countOf(prism, "decisions"), 599 * 13);
  cure();
  await eventually("it is decided as well", () => scalarOf(prism, "select resolvedAt from event_failures"));
  assert.equal(countOf(prism, "decisions"), 599 * 13 + 14);
});

test("when the attempts are used up the failure stays open, and an operator can have it decided", async (t) => {
  const { prism, cure } = await poison(t, "rendering", { settings: { "queues.event-processing.maxAttempts": "1" } });
  const { body } = await prism.post<{ id: string }>("/api/v1/events", { type: "x", bad: true });
  await eventually("the job is dead", () => scalarOf(prism, "select state from jobs") === "dead");
  assert.equal(scalarOf(prism, "select resolvedAt from event_failures"), null);
  await prism.restart();
  assert.equal(scalarOf(prism, "select processedAt from events"), null, "a start leaves it to its job");
  cure();
  assert.equal((await prism.post(`/api/v1/events/${body.id}/reprocess`)).status, 202);
  await eventually("it is decided", () => scalarOf(prism, "select processedAt from events"));
  assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "notifications")], [2, 2]);
});

test("a stop between the failure and its job loses neither", async (t) => {
  const { prism, cure } = await poison(t, "rendering");
  await prism.post("/api/v1/events", { type: "x", bad: true });
  await prism.restart();
  cure();
  await eventually("it is decided", () => scalarOf(prism, "select processedAt from events"));
  assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "notifications")], [2, 2]);
});

test("an event that SQL refuses has notified no user: neither dedupe nor cooldown suppresses the next attempt", async (t) => {
  const { prism, cure } = await poison(t, "sql");
  const ruleIds: string[] = [];
  for (const restraint of [{ dedupe: { key: "{{event.host}}", windowMs: 60_000 } }, { cooldownMs: 60_000 }]) {
    const rule = { condition: "event.type == 'y'", targetUsers: ["me"], titleTemplate: "bad", ...restraint };
    const { body } = await prism.post<{ id: string }>("/api/v1/rules", {
      name: `restrained ${ruleIds.length}`,
      ...rule,
    });
    ruleIds.push(body.id);
  }
  await prism.post("/api/v1/events", { type: "y", host: "a" });
  assert.deepEqual([countOf(prism, "event_failures"), countOf(prism, "notifications")], [1, 0]);
  cure();
  await eventually("the failure is resolved", () => scalarOf(prism, "select resolvedAt from event_failures"));
  assert.deepEqual(valuesOf(rowsOf<{ outcome: string }>(prism, "select outcome from decisions"), "outcome"), [
    "fired",
    "fired",
  ]);
  assert.equal(countOf(prism, "notifications"), 2);
});

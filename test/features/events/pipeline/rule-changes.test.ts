import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { allDecided } from "./support/all-decided.ts";

const RULE = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };

const versionsBySeq = (prism: TestPrism) =>
  rowsOf<{ seq: number; version: number }>(
    prism,
    "select eventSeq as seq, ruleVersion as version from decisions order by 1",
  );

test("a rule that fails on an event counts as not matched, adds to its errors and stops no other", async (t) => {
  const prism = await startPrism(t);
  const greedy = `concat(${Array(8).fill("event.text").join(", ")}) != ''`;
  const { body: bad } = await prism.post<{ id: string }>("/api/v1/rules", {
    ...RULE,
    name: "greedy",
    condition: greedy,
    priority: 9,
  });
  const { body: good } = await prism.post<{ id: string }>("/api/v1/rules", RULE);
  const { body: event } = await prism.post<{ seq: number }>("/api/v1/events", { type: "x", text: "y".repeat(200_000) });
  await prism.post("/api/v1/events", { type: "x", text: "short" });
  assert.deepEqual(rowsOf(prism, "select ruleId from decisions where eventSeq = ?", event.seq), [{ ruleId: good.id }]);
  const stats = await prism.get<{ errors: number; matched: number; lastError: string }>(
    `/api/v1/rules/${bad.id}/stats`,
  );
  assert.deepEqual([stats.body.errors, stats.body.matched], [1, 1]);
  assert.ok(stats.body.lastError.length > 0);
  assert.equal(countOf(prism, "event_failures"), 0);
});

test("a change applies to every event that is committed after the response, under load", async (t) => {
  const prism = await startPrism(t);
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", RULE);
  let isLoading = true;
  const load = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (isLoading) await prism.post("/api/v1/events", { type: "x" });
    }),
  );
  const changes: { version: number; before: number; behind: number }[] = [];
  const seqNow = async () => (await prism.post<{ seq: number }>("/api/v1/events", { type: "mark" })).body.seq;
  for (let version = 2; version <= 12; version++) {
    const before = await seqNow();
    const waiting = `select count(*) from events where seq <= ${before} and processedAt is null`;
    await eventually("earlier events are decided", () => scalarOf(prism, waiting) === 0);
    const active = version % 4 !== 0;
    await answered(200, prism.patch(`/api/v1/rules/${rule.id}`, { titleTemplate: `v${version}`, active }));
    changes.push({ version, before, behind: await seqNow() });
  }
  isLoading = false;
  await load;
  const decided = versionsBySeq(prism);
  assert.deepEqual(
    decided.map(({ version }) => version),
    decided.map(({ version }) => version).toSorted((a, b) => a - b),
  );
  for (const { version, before, behind } of changes) {
    const early = decided.find((each) => each.version === version && each.seq < before);
    const late = decided.find((each) => each.version < version && each.seq > behind);
    assert.deepEqual([early, late], [undefined, undefined], `version ${version}`);
  }
  const titles = rowsOf<{ title: string; version: number }>(
    prism,
    "select n.title, d.ruleVersion as version from decisions d join notifications n on n.id = d.notificationId",
  );
  assert.ok(titles.every(({ title, version }) => title === (version === 1 ? "X" : `v${version}`)));
  const silent = decided.filter(({ version }) => version % 4 === 0);
  assert.deepEqual(silent, [], "a version that is not active decides nothing");
});

test("a deleted rule decides nothing from the answer on, and neither does one that was switched off", async (t) => {
  const prism = await startPrism(t);
  const { body: off } = await prism.post<{ id: string }>("/api/v1/rules", { ...RULE, name: "off" });
  const { body: gone } = await prism.post<{ id: string }>("/api/v1/rules", { ...RULE, name: "gone" });
  const fired = async () => {
    const before = countOf(prism, "decisions");
    await prism.post("/api/v1/events", { type: "x" });
    return countOf(prism, "decisions") - before;
  };
  assert.equal(await fired(), 2);
  await prism.patch(`/api/v1/rules/${off.id}`, { active: false });
  assert.equal(await fired(), 1);
  await prism.delete(`/api/v1/rules/${gone.id}`);
  assert.equal(await fired(), 0);
  await prism.patch(`/api/v1/rules/${off.id}`, { active: true });
  assert.equal(await fired(), 1);
  await prism.restart();
  assert.equal(await fired(), 1);
});

test("a stored rule that does not compile is left out with one line in the log; the others go on", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const { body: broken } = await prism.post<{ id: string }>("/api/v1/rules", RULE);
  await prism.post("/api/v1/rules", { ...RULE, name: "good" });
  const beside = openBeside(t, join(prism.dir, "prism.db"));
  beside.prepare("update rules set condition = 'event.type ~ 1', version = version + 1 where id = ?").run(broken.id);
  prism.parts.offers.rules.reload();
  const told = () => log.lines.filter(({ message }) => message === "skipping a broken rule until it is changed");
  await eventually("it is reported", () => told().length === 1);
  assert.equal(told()[0]?.fields["ruleId"], broken.id);
  await prism.post("/api/v1/events", { type: "x" });
  assert.equal(countOf(prism, "decisions"), 1);
  beside.exec("update rules set titleTemplate = 'changed', version = version + 1 where name = 'good'");
  prism.parts.offers.rules.reload();
  await eventually("the changed rule fires", async () => {
    await prism.post("/api/v1/events", { type: "x" });
    return scalarOf(prism, "select count(*) from notifications where title = 'changed'");
  });
  assert.equal(told().length, 1, "it is not reported again");
  await prism.restart();
  assert.equal(told().length, 2, "a start reports it");
  assert.equal(prism.parts.offers.rules.size, 1);
  assert.equal(scalarOf(prism, "select count(*) from event_failures"), 0);
});

test("S2-130: an event is marked processed with its decisions, whether a rule matched or not", async (t) => {
  keepsPromise(t, "S2-130");
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", RULE);
  const sent = Date.now();
  await prism.post("/api/v1/events", [{ type: "x" }, { type: "y" }]);
  await allDecided(prism);
  const times = rowsOf<{ processedAt: number }>(prism, "select processedAt from events");
  assert.ok(times.every(({ processedAt }) => processedAt >= sent));
});

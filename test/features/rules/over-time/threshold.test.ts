import assert from "node:assert/strict";
import test from "node:test";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { MINUTE, outcomes, send, timedRule, timedWorld } from "./support.ts";

const COUNTED = (n: number): string[] => Array.from({ length: n }, () => "counted");

test("a threshold notifies at the nth match within its window, and counts again from there", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  await timedRule(world, { targetUsers: ["me"], threshold: { count: 3, windowMs: MINUTE } });
  await send(world, "x");
  await send(world, "x");
  clock.advance(MINUTE);
  await send(world, "x");
  assert.deepEqual(await outcomes(world), COUNTED(3), "the first two are exactly a window old");
  clock.advance(MINUTE - 1);
  await send(world, "x");
  await send(world, "y");
  await send(world, "x");
  assert.deepEqual(await outcomes(world), [...COUNTED(4), "fired"]);
  await send(world, "x");
  await send(world, "x");
  await send(world, "x");
  assert.deepEqual((await outcomes(world)).slice(5), ["counted", "counted", "fired"]);
  assert.equal(countOf(prism, "notifications"), 2);
});

test("each key of a threshold counts on its own, also over a restart, and its decisions name it", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  const id = await timedRule(world, {
    targetUsers: ["me"],
    threshold: { count: 3, windowMs: MINUTE, key: "{{ event.host }}" },
  });
  for (const host of ["a", "b", "a", "b"]) await send(world, "x", { host });
  await prism.restart();
  for (const host of ["b", "c", "a", "a"]) await send(world, "x", { host });
  assert.deepEqual(await outcomes(world), [...COUNTED(4), "fired", "counted", "fired", "counted"]);
  assert.deepEqual(valuesOf(rowsOf<{ key: string }>(prism, "select key from decisions order by eventSeq"), "key"), [
    "a",
    "b",
    "a",
    "b",
    "b",
    "c",
    "a",
    "a",
  ]);
  const { body } = await prism.get<{ matched: number; counted: number; fired: number }>(`/api/v1/rules/${id}/stats`);
  assert.deepEqual([body.matched, body.counted, body.fired], [8, 6, 2]);
});

test("a changed threshold counts the stored matches, and a clock that is set back starts the count again", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  const id = await timedRule(world, { targetUsers: ["me"], threshold: { count: 5, windowMs: MINUTE } });
  for (let i = 0; i < 3; i++) await send(world, "x");
  await prism.patch(`/api/v1/rules/${id}`, { threshold: { count: 4, windowMs: MINUTE } });
  await send(world, "x");
  assert.deepEqual(await outcomes(world), [...COUNTED(3), "fired"]);
  for (let i = 0; i < 3; i++) await send(world, "x");
  clock.set(-60 * MINUTE);
  for (let i = 0; i < 4; i++) await send(world, "x");
  assert.deepEqual((await outcomes(world)).slice(4), [...COUNTED(6), "fired"]);
});

test("a rule for every project counts in each of them", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, { projectId: null, targetUsers: ["me"], threshold: { count: 2, windowMs: MINUTE } });
  const { body: other } = await prism.post<{ id: string }>("/api/v1/projects", { name: "other", slug: "other" });
  await send(world, "x");
  assert.equal((await prism.post("/api/v1/events", { type: "x", projectId: other.id })).status, 202);
  await send(world, "x");
  assert.deepEqual(await outcomes(world), ["counted", "counted", "fired"]);
});

test("cooldown and dedupe hold back what passes the threshold", async (t) => {
  const world = await timedWorld(t);
  await timedRule(world, { targetUsers: ["me"], threshold: { count: 2, windowMs: MINUTE }, cooldownMs: MINUTE });
  for (let i = 0; i < 4; i++) await send(world, "x");
  assert.deepEqual(await outcomes(world), ["counted", "fired", "counted", "cooled"]);
});

for (const { name, rule, path, says } of [
  {
    name: "a threshold of one",
    rule: { threshold: { count: 1, windowMs: MINUTE } },
    path: "threshold.count",
    says: "",
  },
  {
    name: "a threshold with an absence",
    rule: { threshold: { count: 2, windowMs: MINUTE }, absence: { forMs: MINUTE } },
    path: "absence",
    says: "not both",
  },
  {
    name: "a key of an absence's alert",
    rule: { absence: { forMs: MINUTE, key: "{{event.a}}" }, alert: { key: "{{event.b}}" } },
    path: "alert.key",
    says: "absence.key",
  },
  {
    name: "a condition that resolves an absence's alert",
    rule: { absence: { forMs: MINUTE }, alert: { resolve: "event.type == 'y'" } },
    path: "alert.resolve",
    says: "next match",
  },
  {
    name: "a time to hold an absence's alert",
    rule: { absence: { forMs: MINUTE }, alert: { forMs: MINUTE } },
    path: "alert.forMs",
    says: "absence.forMs",
  },
  { name: "a label with a dash", rule: { alert: { labels: { "a-b": "x" } } }, path: "alert.labels", says: "letters" },
  { name: "a label of a number", rule: { alert: { labels: { a: 5 } } }, path: "alert.labels", says: "templates" },
  {
    name: "an invalid template of a label",
    rule: { alert: { labels: { a: "{{ nothing }}" } } },
    path: "alert.labels.a",
    says: "unknown name",
  },
  {
    name: "an invalid condition that resolves",
    rule: { alert: { resolve: "event.type = 'y'" } },
    path: "alert.resolve",
    says: "alert.resolve, line 1, column 12",
  },
  {
    name: "an invalid pattern in it",
    rule: { alert: { resolve: "matches(event.type, '(')" } },
    path: "alert.resolve",
    says: "",
  },
  { name: "an unknown member", rule: { alert: { resolves: "true" } }, path: "alert.resolves", says: "" },
] as const)
  test(`refuses ${name}, naming ${path}`, async (t) => {
    const world = await timedWorld(t);
    const body = { name: "r", condition: "true", targetUsers: ["me"], ...rule };
    const { status, body: reply } = await world.prism.post<{
      error: { message: string; details: { path: string; message: string }[] };
    }>("/api/v1/rules", body);
    assert.ok(status === 400 || status === 422, String(status));
    assert.equal(reply.error.details[0]?.path, path);
    assert.ok(`${reply.error.message} ${reply.error.details[0]?.message}`.includes(says), reply.error.message);
    assert.equal(countOf(world.prism, "rules"), 0);
  });

test("versions, export and import keep the settings about time; an older version without them restores as none", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  const settings = {
    threshold: { count: 2, windowMs: MINUTE, key: "{{event.host}}" },
    alert: { key: "{{event.host}}", labels: { team: "db" }, resolve: "event.ok == true", resolveAfterMs: MINUTE },
  };
  const id = await timedRule(world, settings);
  await prism.patch(`/api/v1/rules/${id}`, { threshold: null, alert: null, targetUsers: ["me"] });
  await prism.post(`/api/v1/rules/${id}/versions/1/restore`, {});
  const { body: rule } = await prism.get<Record<string, unknown>>(`/api/v1/rules/${id}`);
  assert.deepEqual([rule["threshold"], rule["alert"]], [settings.threshold, settings.alert]);
  const imported = { name: "r", condition: "event.type == 'x'", projectId: "default", ...settings };
  const { body } = await prism.post<{ unchanged: number; updated: number }>("/api/v1/rules/import", {
    rules: [{ ...imported, targetUsers: ["me"] }],
    update: true,
  });
  assert.equal(body.unchanged + body.updated, 1);
});

import assert from "node:assert/strict";
import test from "node:test";
import { OWN_EVENT_TYPES } from "../../../src/core/text/vocabulary.ts";
import { appendOwnEvents } from "../../../src/features/events/index.ts";
import { compileCondition } from "../../../src/features/rules/language/language.ts";
import { eventually } from "../../helpers/eventually.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { ReceiverTest } from "../intake/receivers/support.ts";

const CONDITIONS: readonly (readonly [condition: string, seesOwn: boolean])[] = [
  ["true", false],
  ["event.level in ['error', 'fatal']", false],
  ["event.source != 'shop'", false],
  ["event.message == 'alert'", false],
  ["contains(event.type, 'alert')", false],
  ["event.source == 'prism:alerts'", true],
  ["startsWith(event.source, 'prism:')", true],
  ["event.level == 'error' or event.source in ['a', 'prism:oncall']", true],
  ["matches(event.source, '^prism:')", true],
  ["event.type == 'incident.exhausted'", true],
  ["not (event.type != 'heartbeat.down')", true],
  ["startsWith(event.type, 'incident.')", true],
  ["matches(event.type, '^oncall\\\\.')", true],
];

test("a condition asks for Prism's own events if it names their source or a type", () => {
  for (const [condition, seesOwn] of CONDITIONS)
    assert.equal(compileCondition(condition).seesOwnEvents, seesOwn, condition);
  for (const type of OWN_EVENT_TYPES) assert.ok(compileCondition(`event.type == '${type}'`).seesOwnEvents, type);
});

const decided = (prism: TestPrism) =>
  rowsOf<{ name: string }>(
    prism,
    "select r.name from decisions d join rules r on r.id = d.ruleId join events e on e.seq = d.eventSeq where e.source glob 'prism:*' order by 1",
  ).map(({ name }) => name);

test("rules leave Prism's own events alone unless their condition names them", async (t) => {
  const prism = await startPrism(t);
  const make = (name: string, condition: string) =>
    prism.post<{ id: string }>("/api/v1/rules", { name, condition, targetUsers: ["me"], projectId: "default" });
  const { body: all } = await make("all", "true");
  await make("errors", "event.level == 'error'");
  await make("not of the shop", "event.source != 'shop'");
  await make("by source", "event.source == 'prism:alerts'");
  await make("by type", "event.type == 'incident.exhausted'");
  const projectId = String(scalarOf(prism, "select id from projects where slug = 'default'"));
  const draft = { projectId, type: "incident.exhausted", level: "error", payload: { title: "x" } } as const;
  const [id] = await prism.parts.base.database.write((trx) =>
    appendOwnEvents(trx, [draft], { source: "prism:alerts", now: Date.now() }),
  );
  await eventually(
    "it is decided",
    () => scalarOf(prism, "select count(*) from events where processedAt is null") === 0,
  );
  assert.deepEqual(decided(prism), ["by source", "by type"]);
  const explained = await prism.get<{ rules: { name: string; reason: string }[] }>(`/api/v1/explain/event/${id}`);
  const reason = explained.body.rules.find(({ name }) => name === "all")?.reason;
  assert.match(reason ?? "", /not asked: the event is of the server itself/);
  const trial = await prism.post<{ matched: boolean; warnings: { code: string }[] }>("/api/v1/rules/test", {
    ...{ condition: "event.level == 'error'", eventId: id },
  });
  assert.deepEqual([trial.body.matched, trial.body.warnings[0]?.code], [false, "OWN_EVENT"]);
  const { body } = await prism.post<{ matched: number }>("/api/v1/rules/backtest", { ruleId: all.id });
  assert.equal(body.matched, 0);
  const listed = await prism.get<{ data: { source: string }[] }>("/api/v1/events");
  const filtered = async (own: boolean) =>
    (await prism.get<{ data: { source: string }[] }>(`/api/v1/events?own=${own}`)).body.data;
  assert.deepEqual([(await filtered(true)).length, (await filtered(false)).length], [1, 0]);
  assert.ok(
    listed.body.data.some(({ source }) => source === "prism:alerts"),
    "lists show them as before",
  );
});

test("a source of Prism's own is refused in every way in", async (t) => {
  const it = await ReceiverTest.start(t);
  const { prism } = it;
  const source = "prism:alerts";
  const refusal = { code: "VALIDATION_FAILED", details: [{ path: "source", code: "RESERVED" }] };
  const send = async (body: unknown, type = "application/json", query = "") => {
    const reply = await fetch(`${prism.url}/api/v1/events${query}`, {
      method: "POST",
      headers: { "Content-Type": type, Authorization: `Bearer ${prism.adminToken}` },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: reply.status, body: (await reply.json()) as { error?: { code: string; details: object[] } } };
  };
  const cloud = { specversion: "1.0", id: "1", source, type: "x" };
  for (const [name, reply] of Object.entries({
    json: await send({ type: "x", source }),
    text: await send("hello", "text/plain", "?source=prism:me"),
    cloudevents: await send(cloud, "application/cloudevents+json"),
  })) {
    const [detail] = reply.body.error?.details ?? [];
    const { path, code } = Object(detail) as { path?: string; code?: string };
    assert.deepEqual(
      [reply.status, reply.body.error?.code, { path, code }],
      [400, refusal.code, refusal.details[0]],
      name,
    );
  }
  for (const claim of [
    "Prism:alerts",
    " prism:x",
    "\uff50rism:x",
    "prism\uff1ax",
    "pr\u200bism:x",
    "\u2066prism:\u2069",
  ])
    assert.equal((await send({ type: "x", source: claim })).status, 400, JSON.stringify(claim));
  for (const other of ["prismatic", "prism", "my-prism:x", "prisme:x", "\u00fcbung:prism:"])
    assert.equal((await send({ type: "x", source: other })).status, 202, other);
  const batch = await send([{ type: "x", source }, { type: "y" }]);
  assert.deepEqual(Object(batch.body)["rejected"], 1, JSON.stringify(batch.body));
  const receiver = await it.make({ preset: "cloudevents" });
  await answered(400, it.send(receiver, cloud));
  const mapped = await it.make({ name: "own", mapping: { title: "= body.title", source: "prism:x" } });
  assert.equal((await it.send(mapped, { title: "t" })).status, 400);
  const several = await it.make({
    name: "several",
    mapping: { split: "body.items", title: "= item.title", source: "= item.source" },
  });
  const both = {
    items: [
      { title: "a", source },
      { title: "b", source: "shop" },
    ],
  };
  assert.equal((await it.send(several, both)).status, 200);
  const titles = "select json_extract(payload, '$.title') from events where source = 'shop'";
  assert.equal(scalarOf(prism, titles), "b", "the others of its request are stored");
  await answered(400, prism.post("/api/v1/receivers", { name: "prism:alerts", preset: "generic" }));
  assert.equal(scalarOf(prism, "select count(*) from events where source glob 'prism:*'"), 0);
});

test("a rule that opens alerts only counts as fired in lists", async (t) => {
  const prism = await startPrism(t);
  const rule = { name: "Down", condition: "event.type == 'down'", alert: {}, projectId: "default" };
  assert.equal((await prism.post("/api/v1/rules", rule)).status, 201);
  await prism.post("/api/v1/events", { type: "down" });
  const activity = await eventually("it has fired", async () => {
    const { body } = await prism.get<{ data: { activity: { fired: number; lastFiredAt: string | null } }[] }>(
      "/api/v1/rules?include=activity",
    );
    return body.data[0]?.activity.fired === 1 ? body.data[0].activity : null;
  });
  assert.notEqual(activity.lastFiredAt, null);
});

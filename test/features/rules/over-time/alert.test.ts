import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { alertsOf, MINUTE, outcomes, send, states, taken, timedRule, timedWorld } from "./support.ts";

test("a rule without targets opens an alert for each key, repeats it without a row, and resolves it by its condition", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  const id = await timedRule(world, {
    name: "Disk {{full}}",
    titleTemplate: "Disk of {{event.host}}",
    alert: {
      key: "{{ event.host }}",
      labels: { team: "db", host: "{{ event.host }}" },
      annotations: { runbook: "https://example.test/{{ event.type }}" },
      severity: "critical",
      resolve: "event.type == 'ok'",
    },
  });
  const startsAt = clock.now();
  await send(world, "x", { host: "a" });
  await taken(world);
  const [alert] = alertsOf(world);
  assert.ok(alert);
  assert.deepEqual(
    [alert.key, alert.state, alert.severity, alert.startsAt, alert.endsAt],
    [`rule:${id}:a`, ...["firing", "critical", startsAt, null]],
  );
  assert.deepEqual(JSON.parse(alert.labels), {
    ...{ alertname: "Disk { {full}}", severity: "critical", team: "db", host: "a" },
  });
  assert.deepEqual(JSON.parse(alert.annotations), {
    ...{ summary: "Disk of a", runbook: "https://example.test/x" },
  });
  await send(world, "ok", { host: "b" });
  await send(world, "x", { host: "a" });
  await send(world, "x", { host: "b" });
  assert.deepEqual(await states(world), ["firing a", "firing b"]);
  await send(world, "ok", { host: "a" });
  assert.deepEqual(await states(world), ["resolved a", "firing b"]);
  assert.deepEqual(await outcomes(world), ["alert-opened", "counted", "alert-opened", "alert-resolved"]);
  await send(world, "x", { host: "a" });
  assert.deepEqual(await states(world), ["resolved a", "firing b", "firing a"]);
  const { body: stats } = await prism.get<Record<string, number>>(`/api/v1/rules/${id}/stats`);
  assert.deepEqual(
    [stats["matched"], stats["counted"], stats["alertsOpened"], stats["alertsResolved"], stats["fired"]],
    [4, 1, 3, 1, 0],
  );
  assert.equal(countOf(prism, "notifications where kind = 'rule'"), 0);
});

test("matches of one batch open an alert once, and its signals survive a restart", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, { alert: { resolve: "event.type == 'ok'" } });
  const types = ["x", "x", "ok", "ok", "x", "x"];
  await prism.post(
    "/api/v1/events",
    types.map((type) => ({ type })),
  );
  assert.deepEqual(await outcomes(world), ["alert-opened", "counted", "alert-resolved", "alert-opened", "counted"]);
  await prism.restart();
  assert.deepEqual(await states(world), ["resolved ", "firing "]);
  await send(world, "x");
  assert.deepEqual((await outcomes(world)).at(-1), "counted");
  await send(world, "ok");
  assert.deepEqual(await states(world), ["resolved ", "resolved "]);
});

test("an event for which both conditions are true opens the alert", async (t) => {
  const world = await timedWorld(t);
  await timedRule(world, { alert: { resolve: "event.type in ['x', 'ok']" } });
  await send(world, "x");
  await send(world, "x");
  assert.deepEqual(await outcomes(world), ["alert-opened", "counted"]);
  assert.deepEqual(await states(world), ["firing "]);
});

test("forMs holds an alert back: it fires if nothing resolves it, and is dropped otherwise", async (t) => {
  const world = await timedWorld(t);
  const { prism, clock } = world;
  await timedRule(world, {
    alert: { key: "{{event.host}}", forMs: MINUTE, resolve: "event.type == 'ok'" },
  });
  await send(world, "x", { host: "a" });
  await send(world, "x", { host: "b" });
  assert.deepEqual(await states(world), ["pending a", "pending b"]);
  await send(world, "ok", { host: "b" });
  await taken(world);
  await prism.restart();
  clock.advance(MINUTE);
  await eventually("it fires", () =>
    alertsOf(world).some(({ state, key }) => state === "firing" && key.endsWith(":a")),
  );
  assert.equal(alertsOf(world).filter(({ state }) => state === "firing").length, 1);
  const opened = rowsOf(prism, "select id from events where type = 'alert.opened'");
  assert.equal(opened.length, 1);
});

test("resolveAfterMs ends an alert that nothing matches for so long; each match moves its end", async (t) => {
  const world = await timedWorld(t);
  const { clock } = world;
  await timedRule(world, { alert: { resolveAfterMs: 10 * MINUTE } });
  await send(world, "x");
  await taken(world);
  clock.advance(9 * MINUTE);
  await send(world, "x");
  const end = clock.now() + 10 * MINUTE;
  await eventually("its end has moved", () =>
    world.prism.parts.offers.alerts.list(projectOf(world)).some(({ endsAt }) => endsAt === end),
  );
  clock.advance(9 * MINUTE);
  await world.prism.parts.offers.alerts.flush();
  assert.deepEqual(await states(world), ["firing "]);
  clock.advance(MINUTE + 1);
  await eventually("it has ended", () => alertsOf(world).every(({ state }) => state === "resolved"));
  assert.equal(alertsOf(world)[0]?.timedOut, 1);
  await send(world, "x");
  assert.deepEqual(await states(world), ["resolved ", "firing "]);
});

test("a threshold opens the alert; while it fires each match repeats it, and it counts anew after its end", async (t) => {
  const world = await timedWorld(t);
  await timedRule(world, {
    threshold: { count: 3, windowMs: MINUTE },
    alert: { key: "{{event.host}}", resolve: "event.type == 'ok'" },
  });
  for (const host of ["a", "b", "a", "a", "a", "b"]) await send(world, "x", { host });
  assert.deepEqual(await outcomes(world), [...["counted", "counted", "counted", "alert-opened"], "counted", "counted"]);
  assert.deepEqual(await states(world), ["firing a"]);
  await send(world, "ok", { host: "a" });
  for (let i = 0; i < 3; i++) await send(world, "x", { host: "a" });
  assert.deepEqual((await outcomes(world)).slice(6), ["alert-resolved", "counted", "counted", "alert-opened"]);
  assert.deepEqual(await states(world), ["resolved a", "firing a"]);
});

test("a rule with targets and an alert does both", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, { targetUsers: ["me"], cooldownMs: MINUTE, alert: {} });
  await send(world, "x");
  await send(world, "x");
  assert.deepEqual(await outcomes(world), ["alert-opened", "cooled"]);
  assert.deepEqual(await states(world), ["firing "]);
  assert.equal(countOf(prism, "notifications where kind = 'rule'"), 1);
});

test("events about alerts never open one, and may notify", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, { condition: "startsWith(event.type, 'alert.')", targetUsers: ["me"], alert: {} });
  await timedRule(world, { name: "only an alert", condition: "startsWith(event.type, 'incident.')", alert: {} });
  await timedRule(world, { name: "first", condition: "event.type == 'x'", alert: { key: "k" } });
  await send(world, "x");
  await send(world, "incident.opened");
  await send(world, "oncall.gap");
  await eventually(
    "the rule has notified of alert.opened",
    () => countOf(prism, "notifications where kind = 'rule'") === 1,
  );
  assert.deepEqual(await states(world), ["firing k"]);
});

test("explain names what an event did to an alert, with key and labels, and why a match was only counted", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  await timedRule(world, {
    threshold: { count: 2, windowMs: MINUTE },
    alert: { key: "{{event.host}}", labels: { team: "db" }, resolve: "event.type == 'ok'" },
  });
  const ids: string[] = [];
  for (const type of ["x", "x", "x", "ok"]) ids.push(await send(world, type, { host: "a" }));
  await taken(world);
  interface View {
    readonly rules: readonly { outcome: string; reason: string; alert: { key: string; labels: object } | null }[];
    readonly answer: string;
  }
  const views: View[] = [];
  for (const id of ids) views.push((await prism.get<View>(`/api/v1/explain/event/${id}`)).body);
  const shown = views.map(({ rules: [rule] }) => rule);
  const alert = { key: "a", labels: { alertname: "r", team: "db" } };
  const rows = shown.map((rule) => [rule?.outcome, rule?.alert]);
  assert.deepEqual(rows, [
    ["counted", null],
    ["alert-opened", alert],
    ["counted", alert],
    ["alert-resolved", alert],
  ]);
  assert.match(shown[0]?.reason ?? "", /below its threshold: match 1 of the 2 within 1 min/);
  assert.match(shown[1]?.reason ?? "", /opened the alert "a"/);
  assert.match(shown[2]?.reason ?? "", /its alert was opened at .*; this match repeats it/);
  assert.match(shown[3]?.reason ?? "", /resolved the alert "a"/);
  assert.match(views[1]?.answer ?? "", /1 opened an alert/);
});

function projectOf({ prism }: { prism: { parts: { offers: { defaultProjectId: string } } } }): string {
  return prism.parts.offers.defaultProjectId;
}

test("a trial shows the alert of a rule: its key and labels, and whether the event resolves it", async (t) => {
  const { prism } = await timedWorld(t);
  const alert = { key: "{{event.host}}", labels: { team: "db" }, severity: "critical", resolve: "event.type == 'ok'" };
  const body = { condition: "event.type == 'x'", alert, name: "Disk", templates: { title: "Disk of {{event.host}}" } };
  interface Reply {
    readonly matched: boolean;
    readonly alert: object;
  }
  const shown = async (type: string) => {
    const event = { type, payload: { host: "a" } };
    return (await prism.post<Reply>("/api/v1/rules/test", { ...body, event })).body;
  };
  const labels = { alertname: "Disk", severity: "critical", team: "db" };
  const annotations = { summary: "Disk of a" };
  const base = { key: "a", labels, annotations, severity: "critical" };
  assert.deepEqual((await shown("x")).alert, { ...base, resolves: false });
  assert.deepEqual((await shown("ok")).alert, { ...base, resolves: true });
  const refused = await prism.post("/api/v1/rules/test", {
    ...body,
    event: { type: "x" },
    alert: { resolve: "1 = 1" },
  });
  assert.equal(refused.status, 422);
});

test("a deleted, disabled or changed rule resolves the alerts that it opened, and those of other rules fire", async (t) => {
  const world = await timedWorld(t);
  const { prism } = world;
  const alert = { key: "{{event.host}}" };
  const ids: string[] = [];
  for (const name of ["deleted", "disabled", "changed", "kept"]) ids.push(await timedRule(world, { name, alert }));
  const [deleted = "", disabled = "", changed = "", kept = ""] = ids;
  await send(world, "x", { host: "a" });
  await send(world, "x", { host: "b" });
  await taken(world);
  const firing = () =>
    new Set(alertsOf(world).flatMap(({ key, state }) => (state === "firing" ? key.split(":")[1] : [])));
  assert.deepEqual(firing(), new Set(ids));

  assert.equal((await prism.delete(`/api/v1/rules/${deleted}`)).status, 204);
  await eventually("its alerts are resolved", () => !firing().has(deleted));
  const change = async (id: string, body: object) => {
    const { status, text } = await prism.patch(`/api/v1/rules/${id}`, body, { headers: { "if-match": "*" } });
    assert.equal(status, 200, text);
  };
  await change(disabled, { active: false });
  await change(changed, { alert: null, targetRoles: ["Admin"] });
  await eventually("only those of the last rule fire", () => firing().size === 1);
  await change(kept, { name: "renamed" });
  await send(world, "x", { host: "c" });
  await taken(world);
  assert.deepEqual(firing(), new Set([kept]));
  const reasons = rowsOf(
    prism,
    "select distinct payload ->> '$.reason' as r from events where type = 'alert.resolved'",
  );
  assert.deepEqual(reasons, [{ r: "person" }]);
  assert.equal(countOf(prism, "alerts where state = 'firing'"), 3);

  // As a server that stopped between the change and the end of the alerts.
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("rules").set({ active: 0 }).where("id", "=", kept).execute(),
  );
  await prism.restart();
  await eventually("the next start resolves them", () => firing().size === 0);
});

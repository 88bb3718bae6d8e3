import assert from "node:assert/strict";
import test from "node:test";
import type { SilencePreview as Preview } from "../../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import type { AlertView } from "../../../../src/features/alerts/index.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { refuseWrites } from "../../../helpers/refuse-writes.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { HOUR, PATH, type SilenceBody, type SilenceWorld, silenceWorld } from "./support.ts";

test("a silence is created, shown, changed and ended, and each change is audited", async (t) => {
  const { create, prism } = await silenceWorld(t);
  const made = await create({ annotations: { ticket: "OPS-1" } });
  assert.equal(made.headers.get("etag")?.startsWith('"1.'), true);
  const { id, ...rest } = made.body;
  const shown = await prism.get<SilenceBody>(`${PATH}/${id}`);
  assert.deepEqual(shown.body, { id, ...rest, withheld: [] });
  const etag = shown.headers.get("etag") ?? "";
  assert.equal((await prism.get(`${PATH}/${id}`, { headers: { "If-None-Match": etag } })).status, 304);
  await answered(412, prism.patch(`${PATH}/${id}`, { comment: "x" }, { headers: { "If-Match": '"7"' } }));
  const changed = await prism.patch<SilenceBody>(`${PATH}/${id}`, { comment: "x" }, { headers: { "If-Match": etag } });
  assert.deepEqual([changed.body["comment"], changed.body["annotations"]], ["x", { ticket: "OPS-1" }]);
  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  const audit = rowsOf<{ action: string }>(
    prism,
    "select action from audit_log where resourceType = 'silence' order by seq",
  );
  assert.deepEqual(valuesOf(audit, "action"), ["silence.create", "silence.update", "silence.expire"]);
});

test("an invalid silence is refused with the member that is wrong", async (t) => {
  const { create, prism, clock } = await silenceWorld(t);
  const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
  for (const [name, body, path] of [
    ["without an end", { durationMs: undefined }, "endsAt"],
    ["two ends", { endsAt: at(HOUR) }, "durationMs"],
    ["an end in the past", { durationMs: undefined, startsAt: at(-2 * HOUR), endsAt: at(-HOUR) }, "endsAt"],
    ["an end before the start", { durationMs: undefined, startsAt: at(2 * HOUR), endsAt: at(HOUR) }, "endsAt"],
    ["a matcher that is none", { matchers: ["team"] }, "matchers.0"],
    ["a pattern that is none", { matchers: ['team="db"', 'a=~"("'] }, "matchers.1"],
    ["matchers that match all", { matchers: ['team=~".*"', { name: "a", value: "" }] }, "matchers"],
    ["no matchers", { matchers: [] }, "matchers"],
    ["two selections", { incidentId: uuidv7() }, "matchers"],
    ["no day", { recurrence: { cron: "0 0 31 2 *", durationMs: HOUR, timezone: "UTC" } }, "recurrence.cron"],
    ["no zone", { recurrence: { cron: "0 0 * * *", durationMs: HOUR, timezone: "Mars" } }, "recurrence.timezone"],
  ] as const)
    await t.test(name, async () => {
      const { status, body: reply, text } = await create(body);
      const [detail] = (reply.error.details ?? []) as { path: string }[];
      assert.equal(status, 400, text);
      if (reply.error.code !== "INVALID_CRON") assert.equal(detail?.path, path, text);
    });
  assert.equal(countOf(prism, "silences"), 0);
});

test("matchers are read before the transaction: compiling their patterns holds no writer", async (t) => {
  const { create, prism } = await silenceWorld(t);
  const { id } = (await create()).body;
  const accept = refuseWrites(prism);
  const matchers = ["team"];
  const made = await create({ matchers });
  const changed = await prism.patch(`${PATH}/${id}`, { matchers }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual([made.status, changed.status], [400, 400]);
  accept();
});

test("a broad silence needs silences:broad", async (t) => {
  const { create, prism, open, projectId } = await silenceWorld(t, { "silences.warnHits": "2" });
  for (const instance of ["a", "b", "c"]) await open({ team: "db", instance });
  const { token } = await makeUser(prism, "olga", ["Operator"]);
  const send = (matchers: readonly string[], more: object = {}) =>
    prism.post<SilenceBody>(PATH, { matchers, durationMs: HOUR, comment: "", ...more }, { token });
  const refused = [await send(['team="db"']), await send(['instance!="a"', 'team=~".+"'])];
  const rows = refused.map(({ status, body }) => [status, body.error.code]);
  assert.deepEqual(rows, [
    [403, "UNAUTHORIZED_ROLE"],
    [403, "UNAUTHORIZED_ROLE"],
  ]);
  assert.match(refused[1]?.body.error.message ?? "", /excludes some values/);
  await answered(201, send(['instance=~"[ab]"', 'team!="web"']));
  assert.equal((await create({ projectId })).status, 201, "the administrator has it");
  const { body: key } = await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, {});
  const byKey = await prism.post<SilenceBody>(
    PATH,
    { matchers: ['instance=~"a.*"'], durationMs: HOUR, comment: "" },
    { apiKey: key.key },
  );
  assert.equal(byKey.status, 201, byKey.text);
  assert.match(String(byKey.body["createdBy"]), /^key:/);
  for (const [scopes, expected] of [
    [["silences:write"], 403],
    [["silences:write", "silences:broad"], 201],
  ] as const) {
    const made = await prism.post<{ key: string }>(`/api/v1/projects/${projectId}/keys`, { scopes });
    const body = { matchers: ['team="db"'], durationMs: HOUR, comment: "" };
    assert.equal((await prism.post(PATH, body, { apiKey: made.body.key })).status, expected, String(scopes));
  }
});

test("a project has at most limits.silencesPerProject silences that have not ended", async (t) => {
  const { create, after, prism } = await silenceWorld(t, { "limits.silencesPerProject": "2" });
  await create();
  const { id } = (await create()).body;
  const third = await create();
  assert.deepEqual([third.status, third.body.error.code], [409, "LIMIT_REACHED"]);
  // The one that it replaces ends.
  const replaced = await prism.patch<{ id: string }>(`${PATH}/${id}`, { matchers: ['team="other"'] });
  assert.deepEqual([replaced.status, replaced.body.id === id], [200, false]);
  assert.equal((await create()).status, 409);
  await after(HOUR);
  assert.equal((await create()).status, 201);
});

test("lists are by project and state, those that end last first, page by page", async (t) => {
  const { create, prism, after, clock } = await silenceWorld(t);
  const ids = new Map<string, string>();
  const make = async (name: string, more: object) => ids.set((await create(more)).body.id, name);
  await make("expired", { durationMs: 1000 });
  await after(1000);
  await make("active", { durationMs: 2 * HOUR });
  await make("pending", { startsAt: new Date(clock.now() + HOUR).toISOString(), durationMs: 3 * HOUR });
  const recurrence = { cron: "* * * * *", durationMs: 60_000, timezone: "UTC" };
  assert.equal((await create({ recurrence })).status, 400, "windows that touch");
  await make("window", { recurrence: { ...recurrence, cron: "0 0 1 1 *" }, durationMs: undefined });
  interface Page {
    readonly data: readonly SilenceBody[];
    readonly nextCursor: string | null;
    readonly total?: number;
  }
  const list = async (query: string) => (await prism.get<Page>(`${PATH}?${query}`)).body;
  const names = async (query: string) => (await list(query)).data.map(({ id }) => ids.get(id));
  assert.deepEqual(await names(""), ["window", "pending", "active", "expired"]);
  assert.deepEqual(await names("state=active"), ["active"]);
  assert.deepEqual(await names("state=pending,expired"), ["window", "pending", "expired"]);
  assert.deepEqual(await names("kind=maintenance&page=1"), ["window"]);
  const first = await list("limit=2");
  assert.deepEqual(await names(`limit=2&cursor=${first.nextCursor}`), ["active", "expired"]);
  assert.equal((await list("limit=1&page=2")).total, 4);
  const soonest = await list("sort=endsAt&limit=2");
  assert.deepEqual(
    [...soonest.data.map(({ id }) => ids.get(id)), ...(await names(`sort=endsAt&cursor=${soonest.nextCursor}`))],
    ["expired", "active", "pending", "window"],
  );
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  assert.deepEqual(await names(`projectId=${shop.id}`), []);
});

/** An incident of these alerts, with a notification. */
async function addIncident({ prism, projectId, clock }: SilenceWorld, alerts: readonly AlertView[]) {
  const [id, notificationId] = [uuidv7(), uuidv7()];
  const now = clock.now();
  await prism.parts.base.database.write(async (trx) => {
    await trx
      .insertInto("incidents")
      .values({
        id,
        number: 1000,
        projectId,
        policyId: projectId,
        policyVersion: 0,
        groupKey: "{}",
        groupLabels: "{}",
        route: "{}",
        title: "disks",
        state: "open",
        urgency: "high",
        ...{ step: 0, round: 0, notices: 0, alerts: 0, firing: 0, version: 1, forPeople: 1 },
        firingSince: now,
        openedAt: now,
        updatedAt: now,
      })
      .execute();
    for (const { id: alertId } of alerts)
      await trx.insertInto("incident_alerts").values({ incidentId: id, alertId, addedAt: now }).execute();
    const note = { id: notificationId, projectId, kind: "incident", title: "t", message: "m", incidentId: id } as const;
    await trx
      .insertInto("notifications")
      .values({ ...note, correlationId: id, createdAt: now, channels: "[]" })
      .execute();
  });
  return { id, notificationId };
}

test("a preview shows the alerts and incidents that would be hit, and warns of broad matchers", async (t) => {
  const world = await silenceWorld(t, { "silences.warnHits": "1" });
  const { prism, open } = world;
  const alert = await open({ team: "db", instance: "a" });
  await open({ team: "db", instance: "b" });
  await addIncident(world, [alert]);
  const preview = async (body: object) => {
    const reply = await answered(200, prism.post<Preview>(`${PATH}/preview`, body));
    return reply.body;
  };
  const one = await preview({ matchers: ['instance="a"'], durationMs: HOUR });
  assert.deepEqual([one.hits, one.needs, one.warnings, one.windows.length], [1, null, [], 1]);
  assert.deepEqual(one.alerts[0]?.labels, { instance: "a", team: "db" });
  assert.ok(one.incidents.some(({ title }) => title === "disks"));
  const broad = await preview({ matchers: ['team="db"'] });
  assert.deepEqual([broad.hits, broad.needs, broad.warnings.map(({ code }) => code)], [2, "silences:broad", ["BROAD"]]);
  const vague = await preview({ matchers: ['team!="x"', 'a=~".+"'], durationMs: 1000 * HOUR });
  assert.deepEqual(valuesOf(vague.warnings, "code"), ["ANY_VALUE", "NO_HITS", "LONG"]);
  const weekly = { cron: "0 22 * * 6", durationMs: HOUR, timezone: "Europe/Berlin" };
  assert.equal((await preview({ matchers: ['a="b"'], recurrence: weekly })).windows.length, 5);
  assert.equal(countOf(prism, "silences"), 0);
});

test("a preview takes the body of a new silence, and refuses what that refuses", async (t) => {
  const { prism } = await silenceWorld(t);
  const matchers = ['team="db"'];
  const windows = { cron: "0 0 * * 1-5", timezone: "Europe/Berlin" };
  const code = (text: string): unknown => {
    const { error } = JSON.parse(text) as { error?: { code: string; details?: { path: string; message: string }[] } };
    return error && [error.code, error.details?.[0]];
  };
  const bodies: readonly { body: object; status: number }[] = [
    { body: { durationMs: HOUR, kind: "maintenance", annotations: { a: "b" } }, status: 201 },
    { body: { recurrence: { ...windows, durationMs: 24 * HOUR } }, status: 201 },
    { body: { recurrence: { ...windows, until: "06:00" } }, status: 201 },
    { body: { recurrence: { ...windows, until: "6:00" } }, status: 400 },
    { body: { recurrence: { ...windows, until: "06:00", durationMs: HOUR } }, status: 400 },
    { body: { recurrence: windows }, status: 400 },
    { body: { recurrence: { ...windows, cron: "0 0 * * *", durationMs: 24 * HOUR } }, status: 400 },
    { body: { recurrence: { ...windows, cron: "0 0 31 2 *", durationMs: HOUR } }, status: 400 },
    { body: { endsAt: "2020-01-01T00:00:00Z" }, status: 400 },
    { body: { durationMs: HOUR, endsAt: "2030-01-01T00:00:00Z" }, status: 400 },
    { body: { durationMs: HOUR, matchers: ['a="x"', 'a="y"'] }, status: 400 },
    { body: { durationMs: HOUR, matchers: ['a="x"', 'a!~"x|z"'] }, status: 400 },
    { body: { durationMs: HOUR, matchers: ['a="x"', 'a=~"("'] }, status: 400 },
    { body: { durationMs: HOUR, matchers: ['a="x"', 'a="x"', 'a=~"x|z"', 'b!=""'] }, status: 201 },
    { body: { durationMs: HOUR, annotations: { a: "x".repeat(16_000) }, matchers: ['a=~".*"'] }, status: 400 },
  ];
  for (const { body, status } of bodies) {
    const given = { matchers, comment: "disks", ...body };
    const preview = await prism.post(`${PATH}/preview`, given);
    assert.equal(preview.status, status === 201 ? 200 : status, `${JSON.stringify(body)} ${preview.text}`);
    const created = await prism.post(PATH, given);
    assert.deepEqual([created.status, code(created.text)], [status, code(preview.text)], JSON.stringify(body));
  }
  const refused = await prism.post(PATH, { durationMs: HOUR, comment: "", matchers: ['a="x"', 'a="y"'] });
  assert.match(refused.text, /can never match: a=\\"x\\" and a=\\"y\\" exclude each other; for either .* use a=~/);
});

test("a silence from an incident or its notification has the labels that all its alerts have", async (t) => {
  const world = await silenceWorld(t);
  const { prism, open, create, silencing } = world;
  const alerts = [
    await open({ alertname: "A", team: "db", instance: "a" }),
    await open({ alertname: "A", team: "db", instance: "b" }),
  ];
  const { id, notificationId } = await addIncident(world, alerts);
  for (const selection of [{ incidentId: id }, { notificationId }]) {
    const { status, body, text } = await create({ matchers: undefined, ...selection });
    assert.deepEqual([status, body.text], [201, '{alertname="A",team="db"}'], text);
    assert.ok(alerts.every((alert) => silencing(alert).includes(body.id)));
  }
  const unknown = await create({ matchers: undefined, notificationId: uuidv7() });
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, "INCIDENT_NOT_FOUND"]);
  const { token } = await makeUser(prism, "zoe", ["Viewer"]);
  const body = { incidentId: id, durationMs: HOUR, comment: "" };
  const refused = await prism.post<SilenceBody>(PATH, body, { token });
  assert.equal(refused.body.error.code, "UNAUTHORIZED_ROLE");
});

test("a silence shows which alerts it withheld, each counted once", async (t) => {
  const { create, get, open, prism, silences, clock } = await silenceWorld(t);
  const { body } = await create();
  const alerts = [await open({ team: "db", instance: "a" }), await open({ team: "db", instance: "b" })];
  const record = (ids: readonly string[]) =>
    prism.parts.base.database.write((trx) =>
      silences().recordHits(
        trx,
        ids.map((alertId) => ({ silenceId: body.id, alertId, incidentId: "i" })),
        clock.now(),
      ),
    );
  await record([alerts[0]?.id ?? ""]);
  clock.advance(1000);
  await record(alerts.map(({ id }) => id));
  const shown = await get(body.id);
  assert.deepEqual([shown.hits, shown["lastHitAt"]], [2, new Date(clock.now()).toISOString()]);
  const withheld = shown["withheld"] as readonly { labels: unknown }[];
  assert.deepEqual(valuesOf(withheld, "labels"), [
    { instance: "b", team: "db" },
    { instance: "a", team: "db" },
  ]);
});

test("metrics count silences by state", async (t) => {
  const { create, prism, clock } = await silenceWorld(t);
  await create();
  await create({ startsAt: new Date(clock.now() + HOUR).toISOString() });
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_silences\{state="active"\} 1\nprism_silences\{state="pending"\} 1/);
});

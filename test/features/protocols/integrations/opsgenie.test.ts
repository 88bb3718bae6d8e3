import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { IntegrationTest, type Made } from "./support.ts";

const PATH = "/v2/alerts";
const ALIAS = "identifierType=alias";

interface Accepted {
  readonly result: string;
  readonly took: number;
  readonly requestId: string;
}

interface OpsgenieAlert {
  readonly id: string;
  readonly tinyId: string;
  readonly alias: string;
  readonly message: string;
  readonly status: string;
  readonly acknowledged: boolean;
  readonly snoozed: boolean;
  readonly count: number;
  readonly tags: readonly string[];
  readonly priority: string;
  readonly description: string;
  readonly details: Readonly<Record<string, string>>;
}

interface Result {
  readonly data: {
    readonly isSuccess: boolean;
    readonly action: string;
    readonly status: string;
    readonly alertId: string;
  };
}

const NEW = {
  message: "Disk full on db-2",
  alias: "disk/2",
  description: "2 % left",
  tags: ["disk", "db"],
  details: { instance: "db-2" },
  responders: [{ type: "team", name: "database" }],
  entity: "db-2",
  source: "Grafana",
  priority: "P1",
};

/** The result of an accepted request. */
async function resultOf(it: IntegrationTest, { requestId }: Accepted): Promise<Result["data"]> {
  return (await it.genie<Result>("GET", `${PATH}/requests/${requestId}`)).body.data;
}

const one = (rest = ""): string => `${PATH}/${encodeURIComponent(NEW.alias)}${rest}?${ALIAS}`;

test("an alert is created, repeated, shown by id, alias and tiny id, and closed", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie", { env: "prod" });
  const created = await it.genie<Accepted>("POST", PATH, NEW);
  assert.deepEqual([created.status, created.body.result], [202, "Request will be processed"]);
  const result = await resultOf(it, created.body);
  assert.deepEqual([result.isSuccess, result.action, result.status], [true, "Create", "Created alert"]);
  const [alert] = await it.alerts();
  assert.deepEqual(alert?.labels, {
    alertname: NEW.message,
    entity: "db-2",
    env: "prod",
    instance: "db-2",
    priority: "P1",
    severity: "critical",
    source: "Grafana",
    tag_db: "true",
    tag_disk: "true",
    team: "database",
  });
  assert.equal(result.alertId, alert?.id);
  // A repetition is counted, and changes nothing else (Opsgenie's "Alert Deduplication").
  const repeated = await it.genie<Accepted>("POST", PATH, { message: "Disk full again", alias: NEW.alias });
  assert.equal((await resultOf(it, repeated.body)).status, "Alert count increased");
  const shown = (await it.genie<{ data: OpsgenieAlert }>("GET", one())).body.data;
  assert.deepEqual(
    [shown.id, shown.alias, shown.message, shown.status, shown.count, shown.tags, shown.priority, shown.description],
    [alert?.id, NEW.alias, NEW.message, "open", 2, ["disk", "db"], "P1", "2 % left"],
  );
  assert.deepEqual(shown.details, { env: "prod", instance: "db-2", team: "database" });
  for (const path of [`${PATH}/${shown.id}`, `${PATH}/${shown.tinyId}?identifierType=tiny`])
    assert.equal((await it.genie<{ data: OpsgenieAlert }>("GET", path)).body.data.id, shown.id);
  const closed = await it.genie<Accepted>("POST", one("/close"), { user: "ann", note: "replaced" });
  assert.deepEqual((await resultOf(it, closed.body)).status, "Closed alert");
  assert.deepEqual(await it.alerts(), []);
  const after = (await it.genie<{ data: OpsgenieAlert }>("GET", one())).body.data;
  assert.deepEqual([after.id, after.status], [shown.id, "closed"]);
});

test("tags are labels for routes, as many as an alert has room for", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie", { tag_own: "yes" });
  const details = Object.fromEntries(Array.from({ length: 75 }, (_, at) => [`d${at}`, "x"]));
  const tags = ["Über-Krit", "a.b/c", "own", ...Array.from({ length: 30 }, (_, at) => `t${at}`)];
  for (const more of [{}, { details }])
    assert.equal(
      (await it.genie("POST", PATH, { message: "Full", alias: String(Object.keys(more).length), tags, ...more }))
        .status,
      202,
    );
  const [few, many] = (await it.alerts())
    .map(({ labels }) => labels)
    .sort((a, b) => Object.keys(a).length - Object.keys(b).length);
  assert.deepEqual(
    [few?.["tag__ber_Krit"], few?.["tag_a_b_c"], few?.["tag_own"], few?.["tag_t16"], few?.["tag_t17"]],
    ["true", "true", "yes", "true", undefined],
  );
  assert.equal(many?.["d74"], "x");
  assert.equal(Object.keys(many ?? {}).filter((name) => name.startsWith("tag_")).length, 3);
  const route = { policy: "default", routes: [{ policy: "default", matchers: ['tag_a_b_c="true"'] }] };
  assert.equal((await it.prism.put("/api/v1/routes", { route })).status, 200);
});

test("acknowledge, unacknowledge, snooze and notes act on the incident", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  const show = async () => (await it.genie<{ data: OpsgenieAlert }>("GET", one())).body.data;
  const states = async () => (await it.incidents()).map(({ state }) => state);
  await it.genie("POST", one("/acknowledge"), { user: "ann", note: "looking" });
  assert.deepEqual([await states(), (await show()).acknowledged], [["acknowledged"], true]);
  const notes = await it.genie<{ data: { note: string }[] }>("GET", one("/notes"));
  assert.deepEqual(valuesOf(notes.body.data, "note"), ["ann: looking"]);
  await it.genie("POST", one("/unacknowledge"), {});
  assert.deepEqual([await states(), (await show()).acknowledged], [["open"], false]);
  await it.genie("POST", one("/snooze"), { endTime: new Date(Date.now() + 3_600_000).toISOString() });
  assert.equal((await show()).snoozed, true);
  await it.genie("POST", one("/notes"), { note: "later" });
  const all = await it.genie<{ data: { note: string }[] }>("GET", one("/notes"));
  assert.deepEqual(all.body.data.map(({ note }) => note).sort(), ["ann: looking", "later"]);
});

test("message, description, priority and tags are updated", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  await it.genie("PUT", one("/message"), { message: "Disk nearly full" });
  await it.genie("PUT", one("/description"), { description: "5 % left" });
  await it.genie("PUT", one("/priority"), { priority: "P4" });
  await it.genie("POST", one("/tags"), { tags: ["seen", "db"] });
  const { data } = (await it.genie<{ data: OpsgenieAlert }>("GET", one())).body;
  assert.deepEqual(
    [data.message, data.description, data.priority, data.tags],
    ["Disk nearly full", "5 % left", "P4", ["disk", "db", "seen"]],
  );
  assert.equal((await it.alerts())[0]?.severity, "info");
});

test("lists and counts take Opsgenie's queries, pages and order", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  for (const [at, tag] of ["a", "b", "a"].entries())
    await it.genie("POST", PATH, { message: `alert ${at}`, alias: `alias-${at}`, tags: [tag], priority: "P2" });
  await it.genie("POST", `${PATH}/alias-0/close?${ALIAS}`, {});
  const listed = async (query: string) => {
    const { body } = await it.genie<{ data: OpsgenieAlert[] }>("GET", `${PATH}?query=${encodeURIComponent(query)}`);
    return body.data.map(({ alias }) => alias).sort();
  };
  assert.deepEqual(await listed(""), ["alias-0", "alias-1", "alias-2"]);
  assert.deepEqual(await listed("status: open"), ["alias-1", "alias-2"]);
  assert.deepEqual(await listed("status=open AND tag: a"), ["alias-2"]);
  assert.deepEqual(await listed("status: none OR status=open AND tag: a"), ["alias-2"]);
  assert.deepEqual(await listed("NOT status: open"), ["alias-0"]);
  assert.deepEqual(await listed('message: "alert 1"'), ["alias-1"]);
  assert.deepEqual(await listed("alias: alias-*"), ["alias-0", "alias-1", "alias-2"]);
  const count = await it.genie<{ data: { count: number } }>("GET", `${PATH}/count?query=status%3Aopen`);
  assert.equal(count.body.data.count, 2);
  const page = await it.genie<{ data: OpsgenieAlert[]; paging: { next?: string } }>("GET", `${PATH}?limit=2&order=asc`);
  assert.deepEqual([page.body.data.length, typeof page.body.paging.next], [2, "string"]);
  const last = await it.genie<{ data: OpsgenieAlert[]; paging: object }>("GET", page.body.paging.next ?? "");
  assert.deepEqual([last.body.data.length, "next" in last.body.paging], [1, false]);
});

test("each error has Opsgenie's form and status", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  const foreign = (await it.prism.post<Made>("/api/v1/integrations", { kind: "pagerduty", name: "pd" })).body.key;
  const refused = async (call: Promise<{ status: number; body: unknown }>) => {
    const { status, body } = await call;
    const { message, took, requestId, errors } = body as Accepted & { message: string; errors?: object };
    assert.deepEqual([typeof message, typeof took, typeof requestId], ["string", "number", "string"]);
    return [status, Object.keys(errors ?? {})];
  };
  assert.deepEqual(await refused(it.genie("POST", PATH, NEW, "0".repeat(32))), [401, []]);
  assert.deepEqual(await refused(it.genie("POST", PATH, NEW, foreign)), [401, []]);
  assert.deepEqual(await refused(it.prism.post(PATH, NEW, { token: null })), [401, []]);
  assert.deepEqual(await refused(it.genie("POST", PATH, { alias: "a" })), [422, ["message"]]);
  assert.deepEqual(await refused(it.genie("POST", PATH, { ...NEW, alias: "a".repeat(513) })), [422, ["alias"]]);
  assert.deepEqual(await refused(it.genie("POST", PATH, "{")), [400, []]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}/${uuidv7()}`)), [404, []]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}/requests/${uuidv7()}`)), [404, []]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}/x?identifierType=name`)), [400, ["identifierType"]]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}?query=owner%3Aann`)), [400, ["query"]]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}?query=a%20OR`)), [400, ["query"]]);
  assert.deepEqual(await refused(it.genie("GET", `${PATH}?query=(a%20OR%20b)%20AND%20c`)), [400, ["query"]]);
  assert.deepEqual(await refused(it.genie("DELETE", `${PATH}/x`)), [405, []]);
  await it.genie("POST", PATH, NEW);
  assert.deepEqual(await refused(it.genie("POST", one("/snooze"), { endTime: "yesterday" })), [400, ["endTime"]]);
  assert.deepEqual(await refused(it.genie("POST", one("/notes"), {})), [400, ["note"]]);
  assert.deepEqual(await refused(it.genie("PUT", one("/priority"), { priority: "P9" })), [400, ["priority"]]);
  // What names no open alert is accepted, and its result says so.
  const missing = await it.genie<Accepted>("POST", `${PATH}/none/close?${ALIAS}`, {});
  assert.equal(missing.status, 202);
  const { isSuccess, status } = await resultOf(it, missing.body);
  assert.deepEqual([isSuccess, status], [false, "Alert does not exist"]);
});

test("an integration sees its own alerts only", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  const [alert] = await it.alerts();
  const { key } = (await it.prism.post<Made>("/api/v1/integrations", { kind: "opsgenie", name: "other" })).body;
  for (const path of [one(), `${PATH}/${alert?.id}`])
    assert.equal((await it.genie("GET", path, undefined, key)).status, 404);
  await it.genie("POST", one("/close"), {}, key);
  assert.equal((await it.alerts()).length, 1);
});

test("comparisons are answered, and what is not understood is refused, never an empty list", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  await it.genie("POST", PATH, NEW);
  await it.genie("POST", PATH, { message: "Gateway is slow", alias: "gw", tags: ["a"] });
  const ask = (query: string) =>
    it.genie<{ data: OpsgenieAlert[] }>("GET", `${PATH}?query=${encodeURIComponent(query)}&order=asc`);
  const hour = 3_600_000;
  for (const [query, expected] of [
    ["status:open AND createdAt > 1500000000", ["disk/2", "gw"]],
    ["createdAt>1500000000", ["disk/2", "gw"]],
    [`createdAt < ${Date.now() - hour}`, []],
    [`updatedAt >= ${new Date(Date.now() - hour).toISOString()}`, ["disk/2", "gw"]],
    ["lastOccurredAt > 01-01-2020", ["disk/2", "gw"]],
    ["lastOccurredAt <= 01-01-2020T10:00", []],
    ["count > 1", ["disk/2"]],
    ["count: 1", ["gw"]],
    ["count != 1 OR tag=a", ["disk/2", "gw"]],
    ["NOT count>=2", ["gw"]],
    ["priority != P1", ["gw"]],
    ["tag=a", ["gw"]],
    ["gate*", ["gw"]],
    ['"is slow"', ["gw"]],
  ] as const) {
    const { status, body, text } = await ask(query);
    assert.deepEqual(
      [status, status === 200 && valuesOf(body.data, "alias").sort()],
      [200, expected],
      `${query} ${text}`,
    );
  }
  for (const query of [
    "createdAt > yesterday",
    "count > many",
    "priority > P2",
    "isSeen:false",
    "a>b",
    "x <",
    "=",
    "constructor:a",
    "toString > 1",
  ])
    assert.equal((await ask(query)).status, 400, query);
});

test("a query has at most 20 terms, and says so", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  const ask = (terms: number) => {
    const query = Array.from({ length: terms }, (_, n) => (n === 0 ? "disk" : `alias:a${n}`)).join(" OR ");
    return it.genie<{ data?: OpsgenieAlert[]; errors?: unknown }>("GET", `${PATH}?query=${encodeURIComponent(query)}`);
  };
  const most = await ask(20);
  assert.deepEqual([most.status, most.body.data?.length], [200, 1]);
  const more = await ask(21);
  assert.deepEqual([more.status, more.body.errors], [400, { query: "A query has at most 20 terms" }]);
  const { status } = await it.genie("GET", `${PATH}/count?query=${encodeURIComponent("a OR ".repeat(21))}b`);
  assert.equal(status, 400);
});

test("no change of an alert replaces or removes labels of the integration", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie", { env: "prod", priority: "P2" });
  await it.genie("POST", PATH, NEW);
  await it.genie("POST", one("/details"), { details: { env: "test", rack: "7" } });
  await it.genie("PUT", one("/priority"), { priority: "P5" });
  await it.genie("DELETE", `${one("/details")}&keys=env,rack`);
  await it.genie("PUT", one("/message"), { message: "Disk is full" });
  const [alert] = await it.alerts();
  const { env, priority, rack } = alert?.labels ?? {};
  assert.deepEqual([env, priority, rack], ["prod", "P2", undefined]);
});

test("tags and details are removed, and programs find their account and who is on call", async (t) => {
  const it = await IntegrationTest.start(t, "opsgenie");
  await it.genie("POST", PATH, NEW);
  const shown = async () => (await it.genie<{ data: OpsgenieAlert }>("GET", one())).body.data;
  const done = async (method: string, path: string, body?: unknown) => {
    const { body: accepted } = await it.genie<Accepted>(method, path, body);
    return (await resultOf(it, accepted)).status;
  };
  assert.equal(await done("DELETE", `${one("/tags")}&tags=disk,other`), "Updated alert");
  assert.deepEqual((await shown()).tags, ["db"]);
  assert.equal(await done("DELETE", `${one("/tags")}&tags=db`), "Updated alert");
  assert.deepEqual((await shown()).tags, []);
  assert.equal(await done("POST", one("/details"), { details: { rack: "7", severity: "info" } }), "Updated alert");
  assert.deepEqual((await shown()).details, { instance: "db-2", rack: "7", team: "database" });
  assert.equal(await done("DELETE", `${one("/details")}&keys=rack,priority`), "Updated alert");
  assert.deepEqual((await shown()).details, { instance: "db-2", team: "database" });
  assert.equal((await shown()).priority, "P1");
  const account = await it.genie<{ data: { name: string } }>("GET", "/v2/account");
  assert.deepEqual([account.status, account.body.data.name], [200, "cluster"]);
  assert.equal((await it.genie("POST", "/v2/integrations/authenticate", {})).status, 200);
  assert.equal((await it.genie("GET", "/v2/account", undefined, "wrong")).status, 401);

  const { prism } = it;
  const schedule = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Night" });
  const start = new Date(Date.now() - 3_600_000).toISOString().slice(0, 19);
  const { id: admin } = (await prism.get<{ id: string }>("/api/v1/users/me")).body;
  const shift = { start, timezone: "UTC", durationMs: 86_400_000, turns: [[admin]] };
  assert.equal((await prism.post(`/api/v1/oncall/schedules/${schedule.body.id}/shifts`, shift)).status, 201);
  const at = "/v2/schedules/Night/on-calls?scheduleIdentifierType=name";
  const who = await it.genie<{ data: { onCallParticipants: { id: string }[] } }>("GET", at);
  assert.deepEqual([who.status, valuesOf(who.body.data.onCallParticipants, "id")], [200, [admin]], who.text);
  const flat = await it.genie<{ data: { onCallRecipients: string[] } }>("GET", `${at}&flat=true`);
  assert.equal(flat.body.data.onCallRecipients.length, 1);
  const before = await it.genie<{ data: { onCallRecipients: string[] } }>(
    "GET",
    `/v2/schedules/${schedule.body.id}/on-calls?flat=true&date=2020-01-01T00:00:00Z`,
  );
  assert.deepEqual(before.body.data.onCallRecipients, []);
  assert.equal((await it.genie("GET", "/v2/schedules/none/on-calls")).status, 404);
});

import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { sql } from "kysely";
import { migrateUp } from "../../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../../src/store/sqlite/migrations.gen.ts";
import { overSocket } from "../../../helpers/control.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";

const outcomeOf = ({ status, body }: Reply): string => {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
};

async function joinAs(prism: TestPrism, projectId: string, userId: string, role: string): Promise<void> {
  const reply = await prism.post(`/api/v1/projects/${projectId}/members`, { userId, role });
  assert.equal(reply.status, 201, reply.text);
}

/** What a caller may do in a project, one word for each right that the caller has. */
async function rightsIn(prism: TestPrism, projectId: string, token: string): Promise<string> {
  const as = { token };
  const requests: Readonly<Record<string, () => Promise<Reply>>> = {
    read: () => prism.get(`/api/v1/events?projectId=${projectId}`, as),
    alerts: () => prism.get(`/api/v1/alerts?projectId=${projectId}`, as),
    settings: () => prism.get(`/api/v1/projects/${projectId}`, as),
    send: () => prism.post("/api/v1/events", { type: "a", projectId }, as),
    fire: () => prism.post("/api/v1/alerts", { projectId, alerts: [{ labels: { alertname: "A" } }] }, as),
    resolve: () => prism.post("/api/v1/alerts", { projectId, alerts: [{ key: "none", status: "resolved" }] }, as),
    rules: () => prism.post("/api/v1/rules/backtest", { condition: "event.type == 'x'", projectId }, as),
    publish: () => prism.post("/api/v1/realtime/publish", { stream: `channel:${projectId}/c`, type: "n", data: 1 }, as),
    manage: () => prism.patch(`/api/v1/projects/${projectId}`, { settings: {} }, as),
  };
  const allowed: string[] = [];
  for (const [name, request] of Object.entries(requests)) if ((await request()).status < 300) allowed.push(name);
  return allowed.join(" ");
}

test("S2: in a project only the role of a member counts, whatever server roles the member has", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const seen = "read alerts settings";
  for (const [role, expected] of [
    ["viewer", seen],
    ["editor", `${seen} send fire resolve rules`],
    ["owner", `${seen} send fire resolve rules manage`],
  ] as const)
    for (const server of ["User", "RuleManager", "Operator"]) {
      const user = await makeUser(prism, `${role}-${server}`.toLowerCase(), [server]);
      assert.equal(await rightsIn(prism, shop.id, user.token), "", `${server} without membership`);
      await joinAs(prism, shop.id, user.id, role);
      const publishes =
        server === "Operator" && role !== "viewer" ? expected.replace(/( manage)?$/, " publish$1") : expected;
      assert.equal(await rightsIn(prism, shop.id, user.token), publishes, `${server} as ${role}`);
    }
  const admin = await makeUser(prism, "boss", ["Admin"]);
  assert.equal(await rightsIn(prism, shop.id, admin.token), `${seen} send fire resolve rules publish manage`);
});

test("S2: a viewer neither fires nor resolves the alerts of a project, also by Alertmanager's API and by ntfy", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const mallory = await makeUser(prism, "mallory", ["User"]);
  await joinAs(prism, shop.id, mallory.id, "viewer");
  const alert = { key: "prod-db", labels: { alertname: "Db" } };
  await prism.post("/api/v1/alerts", { alerts: [alert] }, { apiKey: shop.apiKey });
  const as = { token: mallory.token };
  const body = { projectId: shop.id, alerts: [{ ...alert, status: "resolved" }] };
  for (const reply of [
    await prism.post("/api/v1/alerts", body, as),
    await prism.post("/api/v1/alerts", { projectId: shop.id, alerts: [{ labels: { alertname: "New" } }] }, as),
    await prism.post("/api/v1/events", { type: "a", projectId: shop.id }, as),
    await prism.post("/alertmanager/shop/api/v2/alerts", [{ labels: { alertname: "New" } }], as),
  ])
    assert.equal(reply.status, 403, reply.text);
  assert.deepEqual(rowsOf(prism, "select key, state from alerts"), [{ key: "api:prod-db", state: "firing" }]);
  const byKey = { alerts: [{ ...alert, status: "resolved" }] };
  assert.equal((await prism.post("/api/v1/alerts", byKey, { apiKey: shop.apiKey })).status, 200);
  assert.deepEqual(rowsOf(prism, "select state from alerts"), [{ state: "resolved" }]);
});

test("S3: the default project is read by members and holders of events:read; a User sends to it and reads nothing", async (t) => {
  const prism = await startPrism(t);
  const { defaultProjectId } = prism.parts.core.access;
  const rightsOf = async (name: string, roles: string[]) =>
    rightsIn(prism, defaultProjectId, (await makeUser(prism, name, roles)).token);
  const seen = "read alerts settings";
  assert.equal(await rightsOf("none", []), "");
  assert.equal(await rightsOf("uma", ["User"]), "send fire");
  assert.equal(await rightsOf("vera", ["Viewer"]), `${seen} rules`);
  assert.equal(await rightsOf("otto", ["Operator"]), `${seen} send fire resolve rules publish`);
  const member = await makeUser(prism, "member", []);
  await joinAs(prism, defaultProjectId, member.id, "viewer");
  assert.equal(await rightsIn(prism, defaultProjectId, member.token), seen);
  const { token } = await makeUser(prism, "nobody", []);
  for (const path of [
    ...["events/export", "incidents", "receivers", "integrations", "channels", "policies", "routes", "silences"],
    ...["heartbeats", "oncall/schedules", "oncall/now", "stats", "attention", "transfer-buckets", "projects"],
  ]) {
    const { status, text, body } = await prism.get<{ data?: unknown[] }>(`/api/v1/${path}`, { token });
    const isEmpty = status === 200 && (body.data ?? []).length === 0;
    assert.ok(status === 403 || isEmpty, `${path}: ${status} ${text}`);
  }
});

test("S3: projects.defaultOpen lets every active account read the default project; false ends streams at once", async (t) => {
  const prism = await startPrism(t);
  const set = (value: boolean | null) => prism.put("/api/v1/settings", { values: { "projects.defaultOpen": value } });
  const { defaultProjectId } = prism.parts.core.access;
  const { token } = await makeUser(prism, "uma", []);
  assert.equal(await rightsIn(prism, defaultProjectId, token), "");
  assert.equal((await set(true)).status, 200);
  assert.equal(await rightsIn(prism, defaultProjectId, token), "read alerts settings");
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, token);
  assert.equal((await client.ask({ op: "subscribe", id: "1", stream: "project:default" }))["op"], "subscribed");
  assert.equal((await set(false)).status, 200);
  await client.end;
  assert.equal(await rightsIn(prism, defaultProjectId, token), "");
});

test("in the default project a User fires alerts, and neither ends nor shortens one; a key does", async (t) => {
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "uma", ["User"]);
  const { body: made } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", {});
  const labels = { alertname: "Db" };
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  const soon = () => new Date(Date.now() + 1000).toISOString();
  const am = "/alertmanager/api/v2/alerts";
  assert.equal((await prism.post(am, [{ labels, endsAt: inAnHour }], { apiKey: made.key })).status, 200);
  const endsAt = () => rowsOf<{ endsAt: number }>(prism, "select endsAt from alerts where state = 'firing'")[0]?.endsAt;
  for (let round = 0; round < 2; round++) {
    assert.equal((await prism.post(am, [{ labels }], { token })).status, 200, "without an end");
    assert.equal((await prism.post(am, [{ labels, endsAt: soon() }], { token })).status, 200, "with an earlier end");
  }
  const past = new Date(Date.now() - 1000).toISOString();
  const batch = [
    { labels, startsAt: past, endsAt: past },
    { labels: { alertname: "New" }, endsAt: soon() },
  ];
  const refused = await prism.post(am, batch, { token });
  assert.equal(refused.status, 400, refused.text);
  assert.match(refused.text, /incidents:act/);
  await prism.parts.services.alerting.alerts.flush();
  assert.equal(endsAt(), Date.parse(inAnHour));
  const names = rowsOf<{ name: string }>(
    prism,
    "select labels ->> '$.alertname' as name from alerts where state = 'firing'",
  );
  assert.deepEqual(names.map(({ name }) => name).sort(), ["Db", "New"], "the other alert of the batch is stored");
  const native = await prism.post("/api/v1/alerts", { alerts: [{ labels, status: "resolved" }] }, { token });
  assert.equal(outcomeOf(native), "403 UNAUTHORIZED_ROLE");
  assert.equal((await prism.post(am, [{ labels, startsAt: past, endsAt: past }], { apiKey: made.key })).status, 200);
  assert.deepEqual(rowsOf(prism, "select state from alerts where labels ->> '$.alertname' = 'Db'"), [
    { state: "resolved" },
  ]);
});

test("removing a member revokes the API keys that the member made, unless they are handed over", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const members = `/api/v1/projects/${shop.id}/members`;
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const keyOf = async (name: string) => {
    const user = await makeUser(prism, name, ["User"]);
    await joinAs(prism, shop.id, user.id, "owner");
    const { body } = await prism.post<{ id: string; key: string }>(
      `/api/v1/projects/${shop.id}/keys`,
      { name },
      { token: user.token },
    );
    return { ...body, userId: user.id, token: user.token };
  };
  const ingest = (apiKey: string) => prism.post("/api/v1/events", { type: "a" }, { apiKey });
  const [ann, bob, eve] = [await keyOf("ann"), await keyOf("bob"), await keyOf("eve")];
  assert.equal((await ingest(ann.key)).status, 202);
  assert.equal((await prism.delete(`${members}/${ann.userId}`)).status, 200);
  assert.equal(outcomeOf(await ingest(ann.key)), "401 INVALID_API_KEY");
  assert.equal((await prism.delete(`${members}/${bob.userId}?keepKeys=true`)).status, 200);
  assert.equal((await ingest(bob.key)).status, 202);
  const kept = await prism.delete<{ error: { code: string } }>(`${members}/me?keepKeys=true`, { token: eve.token });
  assert.equal(outcomeOf(kept), "400 VALIDATION_FAILED", "not one's own");
  assert.equal((await prism.delete(`${members}/me`, { token: eve.token })).status, 200);
  assert.equal(outcomeOf(await ingest(eve.key)), "401 INVALID_API_KEY");
  const { body } = await prism.get<{ data: { name: string; createdBy: string }[] }>(`/api/v1/projects/${shop.id}/keys`);
  assert.deepEqual(
    body.data.map(({ name, createdBy }) => [name, createdBy]),
    [
      ["default", me.id],
      ["bob", me.id],
    ],
  );
  assert.equal((await ingest(shop.apiKey)).status, 202, "keys of others stay");
  const audited = rowsOf<{ action: string; resourceId: string }>(
    prism,
    "select action, resourceId from audit_log where action in ('key.revoke', 'key.hand_over') order by seq",
  );
  assert.deepEqual(
    audited.map(({ action, resourceId }) => [action, resourceId]),
    [
      ["key.revoke", ann.id],
      ["key.hand_over", bob.id],
      ["key.revoke", eve.id],
    ],
  );
});

test("a demoted member's API keys lose the scopes that the role no longer has, or are handed over", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const members = `/api/v1/projects/${shop.id}/members`;
  const ann = await makeUser(prism, "ann", ["Operator"]);
  await joinAs(prism, shop.id, ann.id, "owner");
  const keyWith = async (name: string, scopes: string[]) =>
    (await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name, scopes }, { token: ann.token })).body
      .key;
  const both = await keyWith("both", ["events:write", "events:read", "silences:broad", "realtime:publish"]);
  const writer = await keyWith("writer", ["events:write"]);
  const ingest = async (apiKey: string) => outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey }));
  type Left = { keysRevoked?: { name: string }[]; keysRestricted?: { name: string; scopes: string[] }[] };
  const demote = (role: string, keepKeys?: boolean) =>
    prism.patch<Left & { keysHandedOver?: { name: string }[] }>(`${members}/${ann.id}`, { role, keepKeys });
  const asEditor = (await demote("editor")).body;
  assert.deepEqual(
    asEditor.keysRestricted?.map(({ name, scopes }) => [name, ...scopes]),
    [["both", "events:write", "events:read", "realtime:publish"]],
  );
  assert.equal(asEditor.keysRevoked, undefined);
  assert.equal(await ingest(writer), "202");
  const asViewer = (await demote("viewer")).body;
  assert.deepEqual(
    asViewer.keysRestricted?.map(({ scopes }) => scopes),
    [["events:read"]],
  );
  assert.deepEqual(
    asViewer.keysRevoked?.map(({ name }) => name),
    ["writer"],
  );
  assert.deepEqual([await ingest(both), await ingest(writer)], ["403 SCOPE_MISSING", "401 INVALID_API_KEY"]);
  assert.equal((await prism.get("/api/v1/events", { apiKey: both })).status, 200, "what the viewer may do is left");

  await demote("owner");
  const kept = await keyWith("kept", ["events:write"]);
  const handed = (await demote("viewer", true)).body;
  assert.deepEqual(
    handed.keysHandedOver?.map(({ name }) => name),
    ["kept"],
  );
  assert.equal(await ingest(kept), "202");
  const audited = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where action in ('key.restrict', 'key.hand_over') order by seq",
  );
  assert.deepEqual(
    audited.map(({ action, metadata }) => [action, (JSON.parse(metadata) as { by: string }).by]),
    [
      ["key.restrict", "member.update"],
      ["key.restrict", "member.update"],
      ["key.hand_over", "member.update"],
    ],
  );
});

test("kept keys belong to the owner who keeps them, with that owner's rights; by the operator to an owner", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const [ann, bob] = [await makeUser(prism, "ann", ["Operator"]), await makeUser(prism, "bob", ["User"])];
  for (const { id } of [ann, bob]) await joinAs(prism, shop.id, id, "owner");
  const path = (userId: string) => `/api/v1/projects/${shop.id}/members/${userId}`;
  const keyOf = async (token: string, name: string, scopes: string[]) => {
    const made = await prism.post<{ id: string }>(`/api/v1/projects/${shop.id}/keys`, { name, scopes }, { token });
    assert.equal(made.status, 201, made.text);
    return made.body.id;
  };
  const keyRow = (id: string) =>
    rowsOf(prism, `select createdBy as maker, scopes, revokedAt is null as works from api_keys where id = '${id}'`)[0];
  const both = await keyOf(ann.token, "both", ["events:write", "notifications:send"]);
  const sends = await keyOf(ann.token, "sends", ["notifications:send"]);
  const own = await prism.patch(path(ann.id), { role: "viewer", keepKeys: true }, { token: ann.token });
  assert.equal(own.status, 400, "a member who demotes itself keeps none");
  const removed = await prism.delete<{ keysRestricted: object[]; keysHandedOver: object[]; keysRevoked: object[] }>(
    `${path(ann.id)}?keepKeys=true`,
    { token: bob.token },
  );
  assert.equal(removed.status, 200, removed.text);
  assert.deepEqual(removed.body.keysRestricted, [{ id: both, name: "both", scopes: ["events:write"] }]);
  assert.deepEqual(removed.body.keysHandedOver, [{ id: both, name: "both" }]);
  assert.deepEqual(removed.body.keysRevoked, [{ id: sends, name: "sends" }]);
  assert.deepEqual(keyRow(both), { maker: bob.id, scopes: '["events:write"]', works: 1 });
  assert.deepEqual(keyRow(sends), { maker: ann.id, scopes: '["notifications:send"]', works: 0 });
  const bobs = await keyOf(bob.token, "bob", ["events:write"]);
  const byOperator = await overSocket(prism.dir, "PATCH", path(bob.id), { role: "viewer", keepKeys: true });
  assert.equal(byOperator.status, 200, byOperator.text);
  assert.deepEqual(keyRow(bobs), { maker: me.id, scopes: '["events:write"]', works: 1 });
});

test("keys lose the scopes whose permission their maker loses by another server role, or by a changed role", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { body: role } = await prism.post<{ id: string }>("/api/v1/roles", {
    name: "Pager",
    permissions: ["notifications:send", "realtime:publish"],
  });
  const { body: admins } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", {});
  const made = async (name: string, roles: string[]) => {
    const user = await makeUser(prism, name, roles);
    await joinAs(prism, shop.id, user.id, "owner");
    const scopes = ["events:write", "notifications:send", "realtime:publish"];
    const { body } = await prism.post<{ id: string; key: string }>(
      `/api/v1/projects/${shop.id}/keys`,
      { name, scopes },
      { token: user.token },
    );
    return { ...user, keyId: body.id, key: body.key };
  };
  const [ann, bob] = [await made("ann", ["Operator", "User"]), await made("bob", ["Pager"])];
  const boss = await makeUser(prism, "boss", ["Admin"]);
  const { body: bosses } = await prism.post<{ key: string }>(
    `/api/v1/projects/${shop.id}/keys`,
    {},
    { token: boss.token },
  );
  const scopesOf = (id: string) =>
    JSON.parse(rowsOf<{ scopes: string }>(prism, `select scopes from api_keys where id = '${id}'`)[0]?.scopes ?? "[]");
  const notify = (apiKey: string) =>
    prism.post("/api/v1/notifications", { userId: "ann", title: "t", message: "m" }, { apiKey });
  assert.ok((await notify(ann.key)).status < 300);

  assert.equal((await prism.patch(`/api/v1/users/${ann.id}`, { roles: ["User"] })).status, 200);
  assert.equal(outcomeOf(await notify(ann.key)), "403 SCOPE_MISSING");
  assert.deepEqual(scopesOf(ann.keyId), ["events:write"]);
  assert.deepEqual(scopesOf(bob.keyId), ["events:write", "notifications:send", "realtime:publish"]);
  const changed = await prism.put(`/api/v1/roles/${role.id}`, { permissions: ["realtime:publish"] });
  assert.equal(changed.status, 200, changed.text);
  assert.deepEqual(scopesOf(bob.keyId), ["events:write", "realtime:publish"]);
  const reassigned = await prism.delete(`/api/v1/roles/${role.id}?reassignTo=${await roleId(prism, "User")}`);
  assert.equal(reassigned.status, 204, reassigned.text);
  assert.deepEqual(scopesOf(bob.keyId), ["events:write"]);
  await prism.patch(`/api/v1/users/${boss.id}`, { roles: ["Operator"] });
  const ingest = async (apiKey: string) => outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey }));
  assert.equal(await ingest(bosses.key), "401 INVALID_API_KEY", "made in a project of others");
  assert.equal(await ingest(admins.key), "202", "keys of others stay");
});

async function roleId(prism: TestPrism, name: string): Promise<string> {
  const { body } = await prism.get<{ data: { id: string; name: string }[] }>("/api/v1/roles");
  return body.data.find((role) => role.name === name)?.id ?? "";
}

test("removing a member answers what ended and which URLs the person still knows, as does the audit trail", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const [ann, bob] = [await makeUser(prism, "ann", ["User"]), await makeUser(prism, "bob", ["User"])];
  for (const { id } of [ann, bob]) await joinAs(prism, shop.id, id, "owner");
  const as = { token: ann.token };
  const post = async (path: string, body: object, by = as) => {
    const reply = await prism.post<{ id: string }>(`/api/v1/${path}`, { projectId: shop.id, ...body }, by);
    assert.ok(reply.status < 300, `${path}: ${reply.text}`);
    return reply.body.id;
  };
  await post(`projects/${shop.id}/keys`, { name: "shop", projectId: undefined });
  await post("receivers", { name: "GitHub", preset: "github" });
  const printer = await post("receivers", { name: "Printer", preset: "generic" }, { token: bob.token });
  await post("receivers", { name: "Other", preset: "generic" }, { token: bob.token });
  await post(`receivers/${printer}/rotate`, { projectId: undefined });
  await post("integrations", { name: "PagerDuty", kind: "pagerduty" });
  await post("heartbeats", { name: "Backup", timeoutMs: 60_000, graceMs: 60_000 }, { token: bob.token });
  await post("heartbeats/key/rotate", {});

  type Left = { keysRevoked?: { name: string }[]; toRotate?: { kind: string; name: string }[] };
  const { status, body } = await prism.delete<Left>(`/api/v1/projects/${shop.id}/members/${ann.id}`);
  assert.equal(status, 200);
  assert.deepEqual(
    body.keysRevoked?.map(({ name }) => name),
    ["shop"],
  );
  assert.deepEqual(
    body.toRotate?.map(({ kind, name }) => `${kind} ${name}`),
    ["receiver GitHub", "receiver Printer", "integration PagerDuty", "heartbeat Backup", "pingKey ping key"],
  );
  const [row] = rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'member.remove'");
  const metadata = JSON.parse(row?.metadata ?? "{}") as { keysRevoked: string[]; toRotate: string[] };
  assert.deepEqual([metadata.keysRevoked.length, metadata.toRotate.length], [1, 5]);
});

test("of many secrets that a person knows the answer and the audit trail list a hundred, and their number", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const ann = await makeUser(prism, "ann", ["User"]);
  await joinAs(prism, shop.id, ann.id, "owner");
  await prism.parts.base.database.write((trx) =>
    sql`with recursive n(i) as (select 1 union all select i + 1 from n where i < 130)
      insert into heartbeats (id, projectId, pingHash, badgeUuid, name, slug, kind, timeoutMs, graceMs, status, createdAt, updatedAt)
      select 'h' || i, ${shop.id}, 'p' || i, 'b' || i, 'Job ' || i, 'job-' || i, 'simple', 60000, 60000, 'up', 0, 0 from n`.execute(
      trx,
    ),
  );
  const { body, status, text } = await prism.delete<{ toRotate: unknown[]; toRotateCount: number }>(
    `/api/v1/projects/${shop.id}/members/${ann.id}`,
  );
  assert.equal(status, 200, text);
  assert.deepEqual([body.toRotate.length, body.toRotateCount], [100, 130]);
  const [row] = rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'member.remove'");
  const metadata = JSON.parse(row?.metadata ?? "{}") as { toRotate: string[]; toRotateCount: number };
  assert.deepEqual([metadata.toRotate.length, metadata.toRotateCount], [100, 130]);
});

test("deleting an account revokes its API keys and cancels its timers; its schedules go on for the server", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const ann = await makeUser(prism, "ann", ["Operator"]);
  await joinAs(prism, shop.id, ann.id, "owner");
  const as = { token: ann.token };
  const { body: made } = await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, {}, as);
  const action = { type: "notify", payload: { userId: "me", title: "t", message: "m" } };
  const once = { label: "once", delayMs: 3_600_000, action };
  assert.equal((await prism.post("/api/v1/time/trigger", once, as)).status, 201);
  const daily = await prism.post("/api/v1/time/trigger", { label: "daily", cron: "0 8 * * *", action }, as);
  assert.equal(daily.status, 201, daily.text);
  assert.equal((await prism.delete(`/api/v1/users/${ann.id}`)).status, 204);
  assert.equal(
    outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey: made.key })),
    "401 INVALID_API_KEY",
  );
  assert.deepEqual(rowsOf(prism, "select label, state from jobs where queue = 'timers'"), [
    { label: "once", state: "cancelled" },
  ]);
  assert.deepEqual(rowsOf(prism, "select name from schedules where queue = 'timers'"), []);
});

test("the migration keeps a default project open, and lists each member who loses a right", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "prism.db"));
  t.after(() => connection.close());
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0060"),
  );
  const run = (sql: string, ...values: unknown[]) => connection.prepare(sql).run(...values);
  for (const slug of ["default", "shop"])
    run("insert into projects (id, slug, name, createdAt, updatedAt) values (?, ?, ?, 5, 5)", slug, slug, slug);
  for (const [id, permissions] of [
    ["User", ["events:write", "projects:create"]],
    ["RuleManager", ["rules:read", "rules:write", "events:read", "events:write"]],
    ["Operator", ["events:read", "realtime:publish", "incidents:act"]],
    ["Admin", ["projects:all", "rules:write"]],
  ] as const)
    run(
      "insert into roles (id, name, permissions, createdAt, updatedAt) values (?, ?, ?, 1, 1)",
      id,
      id,
      JSON.stringify(permissions),
    );
  const member = (id: string, serverRole: string, project: string, role: string) => {
    run("insert or ignore into users (id, status, createdAt, updatedAt) values (?, 'active', 1, 1)", id);
    run("insert or ignore into user_roles (userId, roleId, createdAt) values (?, ?, 1)", id, serverRole);
    run("insert into project_members (projectId, userId, role, createdAt) values (?, ?, ?, 1)", project, id, role);
  };
  member("viewer", "User", "shop", "viewer");
  member("viewer", "User", "default", "viewer");
  member("editor", "User", "shop", "editor");
  member("manager", "RuleManager", "shop", "editor");
  member("operator", "Operator", "shop", "editor");
  member("owner", "RuleManager", "shop", "owner");
  member("admin", "Admin", "shop", "viewer");
  migrateUp(connection, MIGRATIONS);
  assert.equal(connection.prepare("select value from settings where key = 'projects.defaultOpen'").pluck().get(), 1);
  assert.deepEqual(connection.prepare("select projectId, userId, rights from lost_rights order by userId").all(), [
    { projectId: "shop", userId: "manager", rights: '["rules:write"]' },
    { projectId: "shop", userId: "viewer", rights: '["events:write"]' },
  ]);
});

test("owners see who lost a right, and setting the role takes the member off the list", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const [vic, ann] = [await makeUser(prism, "vic", ["User"]), await makeUser(prism, "ann", ["User"])];
  for (const { id } of [vic, ann]) await joinAs(prism, shop.id, id, "viewer");
  await prism.services.db.write(async (trx) => {
    for (const [userId, rights] of [
      [vic.id, '["events:write","incidents:act"]'],
      [ann.id, '["rules:write"]'],
    ] as const)
      await trx.insertInto("lost_rights").values({ projectId: shop.id, userId, rights }).execute();
  });
  type Lost = { data: { username: string; rights: string[]; roleWithThem: string }[] };
  const list = async (token?: string) =>
    (await prism.get<Lost>("/api/v1/members/lost-rights", token === undefined ? {} : { token })).body.data.map(
      ({ username, rights, roleWithThem }) => `${username}: ${rights.join(" ")} by ${roleWithThem}`,
    );
  assert.deepEqual(await list(), ["vic: events:write incidents:act by editor", "ann: rules:write by owner"]);
  assert.deepEqual(await list(vic.token), [], "only owners see it");
  const path = `/api/v1/projects/${shop.id}/members/${vic.id}`;
  assert.equal((await prism.patch(path, { role: "editor" })).status, 200);
  assert.deepEqual(await list(), ["ann: rules:write by owner"]);
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/members/${ann.id}`)).status, 204);
  assert.deepEqual(await list(), []);
});

test("an upgraded server stays open until the setting says otherwise, and its log counts who lost rights", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const shop = await makeProject(prism);
  const { token } = await makeUser(prism, "uma", []);
  await prism.services.db.write((trx) =>
    trx.insertInto("settings").values({ key: "projects.defaultOpen", value: 1, updatedAt: 1 }).execute(),
  );
  await joinAs(prism, shop.id, (await makeUser(prism, "vic", ["User"])).id, "viewer");
  await prism.services.db.write((trx) =>
    sql`insert into lost_rights select projectId, userId, '["events:write"]' from project_members
        where role = 'viewer'`.execute(trx),
  );
  const warned = () => log.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
  assert.ok(!warned().some((message) => message.includes("upgrade")));
  await prism.restart();
  assert.ok(warned().some((message) => /every account reads the project default, as before the upgrade/.test(message)));
  assert.ok(warned().some((message) => /only the role in a project counts: members lost rights/.test(message)));
  const read = async () => (await prism.get("/api/v1/events", { token })).status;
  assert.equal(await read(), 200);
  await prism.put("/api/v1/settings", { values: { "projects.defaultOpen": false } });
  assert.equal(await read(), 403);
});

import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateUp } from "../../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../../src/store/sqlite/migrations.gen.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";

const outcomeOf = ({ status, body }: Reply): string => {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
};

async function joinAs(prism: TestPrism, projectId: string, userId: string, role: string): Promise<void> {
  await answered(201, prism.post(`/api/v1/projects/${projectId}/members`, { userId, role }));
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
  const { defaultProjectId } = prism.parts.offers;
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
  const { defaultProjectId } = prism.parts.offers;
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
  const soon = () => new Date(Date.now() + 600_000).toISOString();
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
  const refused = await answered(400, prism.post(am, batch, { token }));
  assert.match(refused.text, /incidents:act/);
  await prism.parts.offers.alerts.flush();
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

test("the migrations keep a default project open, and the scopes that keys had", (t) => {
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
  run(
    "insert into api_keys (id, projectId, name, prefix, hash, scopes, createdBy, createdAt) values ('k', 'shop', 'k', 'k', 'k', '[\"events:read\"]', 'viewer', 1)",
  );
  migrateUp(connection, MIGRATIONS);
  assert.equal(connection.prepare("select value from settings where key = 'projects.defaultOpen'").pluck().get(), 1);
  assert.deepEqual(connection.prepare("select id, scopes, createdBy from api_keys").all(), [
    { id: "k", scopes: '["events:read"]', createdBy: "viewer" },
  ]);
});

test("an upgraded server stays open until the setting says otherwise", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { log });
  const { token } = await makeUser(prism, "uma", []);
  await prism.services.db.write((trx) =>
    trx.insertInto("settings").values({ key: "projects.defaultOpen", value: 1, updatedAt: 1 }).execute(),
  );
  const warned = () => log.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
  assert.ok(!warned().some((message) => message.includes("upgrade")));
  await prism.restart();
  assert.ok(warned().some((message) => /every account reads the project default, as before the upgrade/.test(message)));
  const read = async () => (await prism.get("/api/v1/events", { token })).status;
  assert.equal(await read(), 200);
  await prism.put("/api/v1/settings", { values: { "projects.defaultOpen": false } });
  assert.equal(await read(), 403);
});

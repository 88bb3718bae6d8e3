import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import { overSocket } from "../../../helpers/control.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";

const outcomeOf = ({ status, body }: Reply): string => {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
};

async function joinAs(prism: TestPrism, projectId: string, userId: string, role: string): Promise<void> {
  await answered(201, prism.post(`/api/v1/projects/${projectId}/members`, { userId, role }));
}

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
  assert.deepEqual(rowsWith(body.data, "name", "createdBy"), [
    ["default", me.id],
    ["bob", me.id],
  ]);
  assert.equal((await ingest(shop.apiKey)).status, 202, "keys of others stay");
  const audited = rowsOf<{ action: string; resourceId: string }>(
    prism,
    "select action, resourceId from audit_log where action in ('key.revoke', 'key.hand_over') order by seq",
  );
  assert.deepEqual(rowsWith(audited, "action", "resourceId"), [
    ["key.revoke", ann.id],
    ["key.hand_over", bob.id],
    ["key.revoke", eve.id],
  ]);
});

test("a demoted member's API keys do no more than the member, and work again with the role; or they are handed over", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const members = `/api/v1/projects/${shop.id}/members`;
  const ann = await makeUser(prism, "ann", ["Operator"]);
  await joinAs(prism, shop.id, ann.id, "owner");
  const keyWith = async (name: string, scopes: string[]) =>
    (await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name, scopes }, { token: ann.token })).body
      .key;
  const ALL = ["events:write", "events:read", "silences:broad", "realtime:publish"];
  const both = await keyWith("both", ALL);
  const writer = await keyWith("writer", ["events:write"]);
  const ingest = async (apiKey: string) => outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey }));
  type Left = { keysRevoked?: { name: string }[]; keysRestricted?: { name: string; scopes: string[] }[] };
  const demote = (role: string, keepKeys?: boolean) =>
    prism.patch<Left & { keysHandedOver?: { name: string }[] }>(`${members}/${ann.id}`, { role, keepKeys });
  const restricted = (left: Left) => left.keysRestricted?.map(({ name, scopes }) => [name, ...scopes]);
  const listed = async () => {
    const path = `/api/v1/projects/${shop.id}/keys`;
    const { body } = await prism.get<{ data: { name: string; scopes: string[] }[] }>(path);
    return body.data.filter(({ name }) => name !== "default").map(({ name, scopes }) => [name, ...scopes]);
  };
  const asEditor = (await demote("editor")).body;
  assert.deepEqual(restricted(asEditor), [["both", "events:write", "events:read", "realtime:publish"]]);
  assert.equal(await ingest(writer), "202");
  const asViewer = (await demote("viewer")).body;
  assert.deepEqual(restricted(asViewer), [["both", "events:read"], ["writer"]]);
  for (const { keysRevoked } of [asEditor, asViewer]) assert.equal(keysRevoked, undefined);
  assert.deepEqual([await ingest(both), await ingest(writer)], ["403 SCOPE_MISSING", "401 INVALID_API_KEY"]);
  assert.equal((await prism.get("/api/v1/events", { apiKey: both })).status, 200, "what the viewer may do is left");
  assert.deepEqual(await listed(), [["both", "events:read"], ["writer"]]);

  assert.equal((await demote("owner")).body.keysRestricted, undefined);
  assert.deepEqual([await ingest(both), await ingest(writer)], ["202", "202"], "as the maker may again");
  assert.deepEqual(await listed(), [
    ["both", ...ALL],
    ["writer", "events:write"],
  ]);
  await answered(204, prism.delete(`/api/v1/projects/${shop.id}/keys/${keyId(prism, "writer")}`));
  await demote("viewer");
  await demote("owner");
  assert.equal(await ingest(writer), "401 INVALID_API_KEY", "a revoked key stays revoked");

  const handed = (await demote("viewer", true)).body;
  assert.deepEqual(
    handed.keysHandedOver?.map(({ name }) => name),
    ["both"],
  );
  assert.equal(await ingest(both), "202");
  const audited = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where action in ('key.restrict', 'key.hand_over') order by seq",
  );
  const rows = audited.map(({ action, metadata }) => [action, (JSON.parse(metadata) as { by: string }).by]);
  assert.deepEqual(rows, [["key.hand_over", "member.update"]]);
});

const keyId = (prism: TestPrism, name: string): string =>
  rowsOf<{ id: string }>(prism, `select id from api_keys where name = '${name}'`)[0]?.id ?? "";

test("a key that is handed over keeps what its maker could do until then, and gets nothing back by it", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const ann = await makeUser(prism, "ann", ["Operator"]);
  await joinAs(prism, shop.id, ann.id, "owner");
  const scopes = ["events:read", "notifications:send"];
  const path = `/api/v1/projects/${shop.id}`;
  const { body } = await prism.post<{ id: string }>(`${path}/keys`, { name: "k", scopes }, { token: ann.token });
  assert.equal((await prism.patch(`/api/v1/users/${ann.id}`, { roles: ["User"] })).status, 200);
  await answered(200, prism.delete(`${path}/members/${ann.id}?keepKeys=true`));
  assert.deepEqual(rowsOf(prism, `select scopes from api_keys where id = '${body.id}'`), [
    { scopes: '["events:read"]' },
  ]);
});

test("a key's live connection ends when the user who made it may no longer follow the stream", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { body: role } = await prism.post<{ id: string }>("/api/v1/roles", {
    name: "Reader",
    permissions: ["projects:all", "events:read"],
  });
  const change: Record<string, (id: string) => Promise<Reply>> = {
    member: (id) => prism.patch(`/api/v1/projects/${shop.id}/members/${id}`, { role: "viewer" }),
    role: () => prism.put(`/api/v1/roles/${role.id}`, { permissions: ["events:read"] }),
    roles: (id) => prism.patch(`/api/v1/users/${id}`, { roles: ["User"] }),
  };
  for (const [name, roles] of [
    ["member", ["User"]],
    ["roles", ["Reader"]],
    ["role", ["Reader"]],
  ] as const) {
    const user = await makeUser(prism, name, roles);
    if (name === "member") await joinAs(prism, shop.id, user.id, "owner");
    const scopes = name === "member" ? ["events:write"] : ["events:read"];
    const made = await answered(
      201,
      prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name, scopes }, { token: user.token }),
    );
    const client = await WebSocketClient.welcomed(t, prism.wsUrl, made.body.key);
    if (name !== "member")
      assert.equal((await client.ask({ op: "subscribe", id: "1", stream: `project:${shop.id}` }))["op"], "subscribed");
    assert.ok(((await change[name]?.(user.id))?.status ?? 500) < 300);
    await client.end;
  }
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
  await answered(200, overSocket(prism.dir, "PATCH", path(bob.id), { role: "viewer", keepKeys: true }));
  assert.deepEqual(keyRow(bobs), { maker: me.id, scopes: '["events:write"]', works: 1 });
});

test("keys do what the server roles of their maker allow: another role, a changed role, a role that is gone", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const PAGER = ["notifications:send", "realtime:publish"];
  const { body: role } = await prism.post<{ id: string }>("/api/v1/roles", { name: "Pager", permissions: PAGER });
  const { body: admins } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", {});
  const made = async (name: string, roles: string[]) => {
    const user = await makeUser(prism, name, roles);
    await joinAs(prism, shop.id, user.id, "owner");
    const scopes = ["events:write", ...PAGER];
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
  const scopesOf = async (id: string) => {
    const path = `/api/v1/projects/${shop.id}/keys`;
    return (await prism.get<{ data: { id: string; scopes: string[] }[] }>(path)).body.data.find((key) => key.id === id)
      ?.scopes;
  };
  const notify = async (apiKey: string) =>
    outcomeOf(await prism.post("/api/v1/notifications", { userId: "ann", title: "t", message: "m" }, { apiKey }));
  const set = (roles: string[]) => prism.patch(`/api/v1/users/${ann.id}`, { roles });
  for (let round = 0; round < 2; round++) {
    assert.match(await notify(ann.key), /^20/);
    assert.equal((await set(["User"])).status, 200);
    assert.equal(await notify(ann.key), "403 SCOPE_MISSING");
    assert.deepEqual(await scopesOf(ann.keyId), ["events:write"]);
    assert.equal((await set(["Operator", "User"])).status, 200);
  }
  assert.deepEqual(await scopesOf(bob.keyId), ["events:write", ...PAGER]);
  const permit = (permissions: string[]) => answered(200, prism.put(`/api/v1/roles/${role.id}`, { permissions }));
  await permit(["realtime:publish"]);
  assert.equal(await notify(bob.key), "403 SCOPE_MISSING");
  assert.deepEqual(await scopesOf(bob.keyId), ["events:write", "realtime:publish"]);
  await permit(PAGER);
  assert.match(await notify(bob.key), /^20/);
  await answered(204, prism.delete(`/api/v1/roles/${role.id}?reassignTo=${await roleId(prism, "User")}`));
  assert.deepEqual(await scopesOf(bob.keyId), ["events:write"]);
  assert.equal(await notify(bob.key), "403 SCOPE_MISSING");
  const ingest = async (apiKey: string) => outcomeOf(await prism.post("/api/v1/events", { type: "a" }, { apiKey }));
  await prism.patch(`/api/v1/users/${boss.id}`, { roles: ["Operator"] });
  assert.equal(await ingest(bosses.key), "401 INVALID_API_KEY", "made in a project of others");
  await prism.patch(`/api/v1/users/${boss.id}`, { roles: ["Admin"] });
  assert.equal(await ingest(bosses.key), "202");
  assert.equal(await ingest(admins.key), "202", "keys of others stay");
  assert.deepEqual(rowsOf(prism, "select action from audit_log where action in ('key.restrict', 'key.revoke')"), []);
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
  // As an owner sets it by PATCH at those of others.
  for (const table of ["receivers", "integrations"] as const)
    await prism.parts.base.database.write((trx) =>
      trx
        .updateTable(table)
        .set({ forwardUrl: Buffer.from("sealed") })
        .where("name", "in", ["Other", "PagerDuty"])
        .execute(),
    );

  type Left = { keysRevoked?: { name: string }[]; toRotate?: { kind: string; name: string }[] };
  const { body } = await answered(200, prism.delete<Left>(`/api/v1/projects/${shop.id}/members/${ann.id}`));
  assert.deepEqual(
    body.keysRevoked?.map(({ name }) => name),
    ["shop"],
  );
  assert.deepEqual(
    body.toRotate?.map(({ kind, name }) => `${kind} ${name}`),
    [
      "receiver GitHub",
      "receiver Printer",
      "integration PagerDuty",
      "forwardUrl Other",
      "forwardUrl PagerDuty",
      "heartbeat Backup",
      "pingKey ping key",
    ],
  );
  const [row] = rowsOf<{ metadata: string }>(prism, "select metadata from audit_log where action = 'member.remove'");
  const metadata = JSON.parse(row?.metadata ?? "{}") as { keysRevoked: string[]; toRotate: string[] };
  assert.deepEqual([metadata.keysRevoked.length, metadata.toRotate.length], [1, 7]);
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
  await answered(201, prism.post("/api/v1/time/trigger", { label: "daily", cron: "0 8 * * *", action }, as));
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

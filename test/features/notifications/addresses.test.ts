import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { checkAccounts } from "../../../src/features/access/doctor.ts";
import { createUser } from "../../../src/features/access/users/create-user.ts";
import { migrateUp } from "../../../src/store/sqlite/migrate.ts";
import { MIGRATIONS } from "../../../src/store/sqlite/migrations.gen.ts";
import type { Reply, TestPrism } from "../../helpers/prism.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";

const ANN = "ann@example.com";
const NOTE = { title: "t", message: "m" };
const HOUR = 3_600_000;

interface Refusal {
  readonly error: { readonly code: string; readonly message: string; readonly details: readonly { message: string }[] };
}

/** A server of `auth.registration: open` where people know only each other's addresses. */
async function start(t: TestContext, env: "development" | "production", settings: Record<string, string> = {}) {
  const secret = (): string => randomBytes(32).toString("base64");
  const secrets = env === "production" ? { "auth.jwtSecret": secret(), encryptionKey: secret() } : {};
  const prism = await startPrism(t, { settings: { env, ...secrets, "auth.registration": "open", ...settings } });
  const { parts } = prism;
  const { id } = await parts.base.database.write((trx) =>
    createUser(parts.base, { username: "root", roles: ["Admin"] }, trx),
  );
  prism.adminToken = (await parts.offers.accessTokens.issue(id)).token;
  return prism;
}

/** As S1, S2 and S3 do it: an address and a password. */
async function register(prism: TestPrism, email = ANN): Promise<string> {
  const body = { email, password: "correct horse battery" };
  await answered(201, prism.post("/auth/register", body, { token: null }));
  return scalarOf<string>(prism, "select id from users where email = ?", email) ?? "";
}

async function made<T = { id: string }>(reply: Promise<Reply<T>>): Promise<T> {
  const { status, body, text } = await reply;
  assert.ok(status < 300, text);
  return body;
}

/** Each entry that takes a recipient: its answer, and the ids that it stored. */
function entries(prism: TestPrism, ref: string): Record<string, () => Promise<[Reply<unknown>, string | undefined]>> {
  const project = scalarOf<string>(prism, "select id from projects limit 1") ?? "";
  const post = async (path: string, body: object, read: (reply: Reply<{ id: string }>) => string | undefined) => {
    const reply = await prism.post<{ id: string }>(path, body);
    return [reply, reply.status < 300 ? read(reply) : undefined] as [Reply<unknown>, string | undefined];
  };
  const stored = (sql: string, ...values: string[]) => scalarOf<string>(prism, sql, ...values);
  const timer = (action: object) => ({ label: "first", delayMs: HOUR, action });
  const schedule = async () => {
    const body = { name: `s${randomBytes(4).toString("hex")}`, timezone: "UTC", projectId: project };
    return (await made(prism.post<{ id: string }>("/api/v1/oncall/schedules", body))).id;
  };
  const span = {
    start: new Date(Date.now() + HOUR).toISOString(),
    end: new Date(Date.now() + 2 * HOUR).toISOString(),
  };
  return {
    "a notification": () =>
      post("/api/v1/notifications", { ...NOTE, recipients: [ref] }, ({ body }) =>
        stored("select group_concat(userId) from notification_recipients where notificationId = ?", body.id),
      ),
    "a scheduled notification": () =>
      post("/api/v1/notifications", { ...NOTE, userId: ref, delayMs: HOUR }, () =>
        stored(
          "select json_extract(payload, '$.notification.recipients[0]') from jobs where queue = 'timers' order by id desc",
        ),
      ),
    "a timer": () =>
      post(
        "/time/trigger",
        timer({ type: "notify", payload: { userId: ref, title: "t", body: "b" } }),
        () => "accepted",
      ),
    "a message": () =>
      post("/messages", { recipient_id: ref, content: "private", delayMs: 0 }, () =>
        stored("select recipientId from messages order by id desc"),
      ),
    "a rule": () =>
      post("/api/v1/rules", { name: `r${randomBytes(4).toString("hex")}`, condition: "true", targetUsers: [ref] }, () =>
        stored("select json_extract(targetUsers, '$[0]') from rules order by id desc"),
      ),
    "a policy": () =>
      post(
        "/api/v1/policies",
        { name: `p${randomBytes(4).toString("hex")}`, projectId: project, steps: [{ type: "notify", users: [ref] }] },
        () => stored("select json_extract(definition, '$.steps[0].users[0]') from policies order by id desc"),
      ),
    "an override": async () =>
      post(`/api/v1/oncall/schedules/${await schedule()}/overrides`, { ...span, users: [ref] }, ({ body }) =>
        stored("select json_extract(turns, '$[0][0]') from oncall_shifts where id = ?", body.id),
      ),
    "a page": () => post("/api/v1/incidents", { title: "Look", projectId: project, users: [ref] }, () => "accepted"),
  };
}

for (const env of ["development", "production"] as const)
  test(`a mail address reaches its account, in any case and at every entry, in ${env}`, async (t) => {
    const prism = await start(t, env);
    const ann = await register(prism);
    if (env === "production") await made(prism.patch(`/api/v1/users/${ann}`, { email: ANN }));
    const users = countOf(prism, "users");
    for (const ref of [ANN, "Ann@Example.COM"])
      for (const [name, ask] of Object.entries(entries(prism, ref)))
        await t.test(`${name} to ${ref}`, async () => {
          const [reply, id] = await ask();
          assert.ok(reply.status < 300, reply.text);
          if (id !== "accepted") assert.equal(id, ann);
        });
    assert.equal(countOf(prism, "users"), users, "no account was made");
    const me = (await prism.parts.offers.accessTokens.issue(ann)).token;
    const { body } = await prism.get<{ data: { title: string }[] }>("/api/v1/notifications", { token: me });
    assert.ok(body.data.length >= 2, "they are in her list");
    for (const path of [`/api/v1/notifications/user/${ANN}`, `/api/v1/tasks?userId=${ANN}`])
      assert.equal((await prism.get(path)).status, 200, path);
  });

test("a module sends to an address", async (t) => {
  const prism = await start(t, "development");
  const ann = await register(prism);
  const { id } = await prism.parts.offers.notify.send({ userId: ANN, title: "t", body: "b" });
  assert.deepEqual(rowsOf(prism, "select userId from notification_recipients where notificationId = ?", id), [
    { userId: ann },
  ]);
});

test("in production an address that only its account claims is as unknown as any other, by the same words", async (t) => {
  const prism = await start(t, "production");
  await register(prism);
  const disabled = await register(prism, "dan@example.com");
  await made(prism.patch(`/api/v1/users/${disabled}`, { email: "dan@example.com", status: "disabled" }));
  const { id } = await made(
    prism.post<{ id: string }>("/api/v1/users", {
      username: "rule-manager",
      roles: ["RuleManager"],
      password: "correct horse battery",
    }),
  );
  const { token } = await prism.parts.offers.accessTokens.issue(id);
  const words = new Set<string>();
  for (const ref of [ANN, "dan@example.com", "unknown@example.com", "unknown"]) {
    const recipients = ["me", ref];
    const { status, body } = await prism.post<Refusal>("/api/v1/notifications", { ...NOTE, recipients }, { token });
    assert.equal(status, 422);
    words.add(JSON.stringify([body.error.code, body.error.message, body.error.details]));
  }
  assert.equal(words.size, 1, [...words].join());
  const { body } = await prism.post<Refusal>("/api/v1/notifications", { ...NOTE, recipients: [ANN] });
  assert.match(body.error.details[0]?.message ?? "", /not verified/, "who may read users reads the reason");
  for (const [name, ask] of Object.entries(entries(prism, ANN)))
    assert.equal((await ask())[0].status, 422, `${name} refuses it too`);
});

/** A user with an account of their own; the address is verified. */
async function person(prism: TestPrism, name: string, roles: readonly string[]) {
  const password = "correct horse battery";
  const body = { username: name, email: `${name}@example.com`, roles, password };
  const { id } = await made(prism.post<{ id: string }>("/api/v1/users", body));
  const { token } = await prism.parts.offers.accessTokens.issue(id);
  return { id, token };
}

test("an import of rules does not tell which addresses have an account", async (t) => {
  const prism = await start(t, "production");
  const { token } = await person(prism, "owner", ["User"]);
  await person(prism, "bob", ["User"]);
  await made(prism.post("/api/v1/projects", { slug: "mine", name: "Mine" }, { token }));
  const words = new Set<string>();
  for (const targetUser of ["bob@example.com", "unknown@example.com", "unknown"]) {
    const rule = { name: "i", condition: "event.a == 1", projectId: "mine", targetUsers: [targetUser] };
    const { status, body } = await prism.post<Refusal>(
      "/api/v1/rules/import",
      { dryRun: true, rules: [rule] },
      { token },
    );
    assert.equal(status, 422, JSON.stringify(body));
    words.add(JSON.stringify([body.error.code, body.error.message, body.error.details]));
  }
  assert.equal(words.size, 1, [...words].join());
});

test("a message by mail address reaches people of a shared project; a stranger's is as unknown as any other", async (t) => {
  const prism = await start(t, "production");
  const ann = await person(prism, "ann", ["User"]);
  const bob = await person(prism, "bob", ["User"]);
  const write = async (recipientId: string, token: string) => {
    const { status, body } = await prism.post<Refusal & { recipientId: string }>(
      "/api/v1/messages",
      { recipientId, content: "c" },
      { token },
    );
    return status === 202 ? body.recipientId : JSON.stringify([status, body.error.code, body.error.details]);
  };
  const unknown = await write("unknown@example.com", ann.token);
  assert.match(unknown, /422,"RECIPIENT_NOT_FOUND"/);
  assert.equal(await write("bob@example.com", ann.token), unknown);
  assert.equal(await write("bob", ann.token), bob.id, "by username");
  assert.equal(await write("ann@example.com", ann.token), ann.id, "to herself");
  assert.equal(await write("bob@example.com", prism.adminToken), bob.id, "with users:read");
  const { id } = await made(prism.post<{ id: string }>("/api/v1/projects", { slug: "shared", name: "Shared" }));
  for (const { id: userId } of [ann, bob])
    await made(prism.post(`/api/v1/projects/${id}/members`, { userId, role: "viewer" }));
  assert.equal(await write("bob@example.com", ann.token), bob.id, "in a shared project");
});

test("an address is verified by an administrator, by approval, by an import and by its link; not by its user", async (t) => {
  const prism = await start(t, "production", { "auth.registration": "approval" });
  const isKnown = async (email: string) =>
    (await prism.post("/api/v1/notifications", { ...NOTE, recipients: [email] })).status === 201;
  const pending = await register(prism);
  await made(prism.post(`/api/v1/users/${pending}/approve`, { roles: ["User"] }));
  assert.ok(await isKnown(ANN), "approved");
  await made(prism.post("/api/v1/users", { email: "bob@example.com", password: "correct horse battery" }));
  assert.ok(await isKnown("bob@example.com"), "made by an administrator");
  const imported = { users: [{ email: "cid@example.com" }], existing: "refuse" };
  await made(prism.post("/api/v1/users/import", imported));
  assert.ok(await isKnown("cid@example.com"), "imported");
  const { token } = await prism.parts.offers.accessTokens.issue(pending);
  const change = { email: "boss@example.com", currentPassword: "correct horse battery" };
  await made(prism.put("/api/v1/users/me", change, { token }));
  assert.ok(!(await isKnown("boss@example.com")), "entered by its user");
  const { body } = await prism.get<{ emailVerified: boolean }>(`/api/v1/users/${pending}`);
  assert.equal(body.emailVerified, false);
});

test("an address is provisioned only where the setting says so, and never one that an account has", async (t) => {
  const off = await start(t, "development");
  const before = countOf(off, "users");
  assert.equal((await off.post("/api/v1/notifications", { ...NOTE, recipients: ["x@example.com"] })).status, 422);
  assert.equal((await off.post("/api/v1/notifications", { ...NOTE, recipients: ["user-id"] })).status, 201);
  assert.equal(countOf(off, "users"), before + 1);

  const on = await start(t, "production", {
    "notifications.unknownRecipient": "provision",
    "notifications.provisionAddresses": "true",
  });
  await register(on);
  assert.equal((await on.post("/api/v1/notifications", { ...NOTE, recipients: ["x@example.com"] })).status, 201);
  const users = countOf(on, "users");
  assert.equal((await on.post("/api/v1/notifications", { ...NOTE, recipients: [ANN] })).status, 422);
  assert.equal(countOf(on, "users"), users);
});

test("a verified address comes before an account that an earlier version made of it", async (t) => {
  const prism = await start(t, "production");
  const now = Date.now();
  await prism.parts.base.database.write((trx) =>
    trx
      .insertInto("users")
      .values({
        id: "ghost",
        externalId: ANN,
        name: ANN,
        status: "active",
        timezone: "UTC",
        createdAt: now,
        updatedAt: now,
      })
      .execute(),
  );
  const ann = await register(prism);
  const send = () =>
    made(prism.post<{ recipients: string[] }>("/api/v1/notifications", { ...NOTE, recipients: [ANN] }));
  assert.deepEqual((await send()).recipients, ["ghost"], "an address that is only claimed");
  await made(prism.patch(`/api/v1/users/${ann}`, { email: ANN }));
  assert.deepEqual((await send()).recipients, [ann]);
  const warnings = await checkAccounts(prism.parts.base.database.read);
  assert.match(JSON.stringify(warnings), /"warning".*another account: ghost/);
});

test("two names of one person are one recipient", async (t) => {
  const prism = await start(t, "development");
  const ann = await register(prism);
  const recipients = [ANN, ann, "ANN@example.com"];
  const { body } = await prism.post<{ recipients: string[] }>("/api/v1/notifications", { ...NOTE, recipients });
  assert.deepEqual(body.recipients, [ann]);
});

test("addresses of an old database are verified where the audit trail or a role shows it", (t) => {
  const connection = new SqliteDatabase(join(temporaryDir(t), "prism.db"));
  t.after(() => connection.close());
  migrateUp(
    connection,
    MIGRATIONS.filter(({ name }) => name < "0051"),
  );
  const user = connection.prepare(
    "insert into users (id, email, status, hasChosenEmail, createdAt, updatedAt) values (?, ? || '@x.org', ?, ?, 1, 1)",
  );
  const audit = connection.prepare(
    `insert into audit_log (seq, id, action, userId, actor, resourceType, resourceId, metadata, timestamp, prevHash, hash)
      values (?, ?, ?, ?, json_object('type', ?), 'user', ?, ?, 1, '', '')`,
  );
  const people = [
    { id: "registered", action: "user.register", by: null, type: "http", metadata: {} },
    { id: "byAdmin", action: "user.register", by: "root", type: "user", metadata: {} },
    { id: "byCommand", action: "user.register", by: null, type: "operator", metadata: {} },
    { id: "imported", action: "user.register", by: null, type: "http", metadata: { by: "import" } },
    { id: "approved", action: "user.approve", by: "root", type: "user", metadata: {} },
    {
      id: "confirmed",
      action: "user.update",
      by: "confirmed",
      type: "user",
      metadata: { changed: ["status"], status: "active" },
    },
    { id: "chosen", action: "user.approve", by: "root", type: "user", metadata: {}, chosen: 1 },
    { id: "unverified", action: "user.approve", by: "root", type: "user", metadata: {}, status: "unverified" },
    { id: "renamed", action: "user.update", by: "renamed", type: "user", metadata: { changed: ["name"] } },
  ] as { id: string; action: string; by: string | null; type: string; metadata: object; chosen?: 1; status?: string }[];
  for (const [at, { id, action, by, type, metadata, chosen = 0, status = "active" }] of people.entries()) {
    user.run(id, id, status, chosen);
    audit.run(at + 1, `row ${id}`, action, by, type, id, JSON.stringify(metadata));
  }
  migrateUp(connection, MIGRATIONS);
  const verified = connection.prepare("select id from users where isEmailVerified = 1 order by id").pluck().all();
  assert.deepEqual(verified, ["approved", "byAdmin", "byCommand", "confirmed", "imported"]);
});

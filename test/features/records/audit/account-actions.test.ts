import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { consoleModule } from "../../../helpers/console-module.ts";
import { overSocket } from "../../../helpers/control.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, PASSWORD, startAccounts } from "../../access/sessions/support/auth-client.ts";
import { pend, protect } from "../../access/sessions/support/second-factor.ts";
import { type Change, change, eachLeavesItsRecord } from "./support/recorded-changes.ts";

const api = (path: string) => `/api/v1${path}`;

interface World {
  readonly prism: TestPrism;
  readonly ann: string;
  /** A name that is not yet used. */
  fresh(): string;
}

async function world(t: TestContext): Promise<World> {
  const oidc = '[{"name":"company","issuer":"https://login.example.org","clientId":"prism"}]';
  const prism = await startAccounts(t, { settings: { "auth.oidc": oidc } });
  const { id } = await makeAccount(prism, { username: "ann" });
  let n = 0;
  return { prism, ann: id, fresh: () => `user-${++n}` };
}

const logInAnn = ({ prism }: World) => logIn(prism, "ann");

async function register({ prism, fresh }: World): Promise<string> {
  const { body } = await call(prism, api("/auth/register"), { username: fresh(), password: PASSWORD });
  return body.user.id;
}

async function makeRole({ prism, fresh }: World): Promise<string> {
  const { body } = await prism.post<{ id: string }>(api("/roles"), { name: `R ${fresh()}`, permissions: [] });
  return body.id;
}

/** What is done to accounts and by them, and the request that does it. */
const CHANGES: readonly Change<World>[] = [
  {
    action: "user.register",
    resourceType: "user",
    run: ({ prism, fresh }) => call(prism, api("/auth/register"), { username: fresh(), password: PASSWORD }),
  },
  {
    action: "auth.login",
    resourceType: "user",
    run: ({ prism }) => call(prism, api("/auth/login"), { login: "ann", password: PASSWORD }),
  },
  {
    action: "auth.login_failed",
    resourceType: "user",
    isOnlyRecorded: true,
    run: ({ prism }) => call(prism, api("/auth/login"), { login: "ann", password: "wrong" }),
  },
  change({
    action: "auth.logout",
    resourceType: "user",
    prepare: logInAnn,
    run: ({ prism }: World, { token }) => prism.post(api("/auth/logout"), {}, { token }),
  }),
  change({
    action: "auth.logout",
    resourceType: "user",
    prepare: async (world: World) => {
      const { token } = await logInAnn(world);
      const { body } = await world.prism.get<{ data: { id: string; current: boolean }[] }>(api("/auth/sessions"), {
        token,
      });
      return { token, id: body.data.find(({ current }) => !current)?.id ?? "" };
    },
    run: ({ prism }: World, { token, id }) => prism.delete(api(`/auth/sessions/${id}`), { token }),
  }),
  change({
    action: "auth.refresh_repeated",
    resourceType: "session",
    prepare: async (world: World) => {
      const { refreshToken } = await logInAnn(world);
      await call(world.prism, api("/auth/refresh"), { refreshToken });
      return refreshToken;
    },
    run: ({ prism }: World, refreshToken) => call(prism, api("/auth/refresh"), { refreshToken }),
  }),
  change({
    action: "auth.refresh_reused",
    resourceType: "session",
    prepare: async (world: World) => {
      const { refreshToken } = await logInAnn(world);
      const { body } = await call(world.prism, api("/auth/refresh"), { refreshToken });
      // A used replacement was received, so that a second use of the first token is theft.
      await call(world.prism, api("/auth/refresh"), { refreshToken: body.refreshToken });
      return refreshToken;
    },
    run: ({ prism }: World, refreshToken) => call(prism, api("/auth/refresh"), { refreshToken }),
  }),
  change({
    action: "user.update",
    resourceType: "user",
    prepare: logInAnn,
    run: ({ prism, fresh }: World, { token }) => prism.put(api("/users/me"), { name: fresh() }, { token }),
  }),
  change({
    action: "user.update",
    resourceType: "user",
    prepare: async ({ prism, fresh }: World) => {
      const username = fresh();
      await makeAccount(prism, { username });
      return logIn(prism, username);
    },
    run: ({ prism }: World, { token }) =>
      prism.put(api("/users/me/password"), { currentPassword: PASSWORD, password: `${PASSWORD} anew` }, { token }),
  }),
  change({
    action: "user.second_factor",
    resourceType: "user",
    prepare: async ({ prism, fresh }: World) => {
      const username = fresh();
      await makeAccount(prism, { username });
      return pend(prism, username);
    },
    run: ({ prism }: World, { app, token }) =>
      prism.post(api("/users/me/second-factor/confirm"), { code: app.code() }, { token }),
  }),
  change({
    action: "user.second_factor",
    resourceType: "user",
    prepare: async ({ prism, fresh }: World) => {
      const username = fresh();
      const { id } = await makeAccount(prism, { username });
      await protect(prism, username);
      return id;
    },
    run: ({ prism }: World, id) => prism.delete(api(`/users/${id}/second-factor`)),
  }),
  change({
    action: "user.sign_in_link",
    resourceType: "user",
    prepare: ({ prism, fresh }: World) => makeAccount(prism, { username: fresh() }),
    run: ({ prism }: World, { id }) => overSocket(prism.dir, "POST", api(`/operator/users/${id}/sign-in-link`)),
  }),
  change({
    action: "user.identity_link",
    resourceType: "user",
    prepare: ({ prism, fresh }: World) => makeAccount(prism, { username: fresh() }),
    run: ({ prism, fresh }: World, { id }) =>
      prism.post(api(`/users/${id}/identities`), { provider: "company", subject: fresh() }),
  }),
  change({
    action: "user.identity_unlink",
    resourceType: "user",
    prepare: async ({ prism, fresh }: World) => {
      const { id } = await makeAccount(prism, { username: fresh() });
      const identity = { provider: "company", subject: fresh() };
      const { body } = await prism.post<{ id: string }>(api(`/users/${id}/identities`), identity);
      return `/users/${id}/identities/${body.id}`;
    },
    run: ({ prism }: World, path) => prism.delete(api(path)),
  }),
  change({
    action: "user.approve",
    resourceType: "user",
    prepare: register,
    run: ({ prism }: World, id) => prism.post(api(`/users/${id}/approve`), {}),
  }),
  change({
    action: "user.reject",
    resourceType: "user",
    prepare: register,
    run: ({ prism }: World, id) => prism.post(api(`/users/${id}/reject`), {}),
  }),
  change({
    action: "user.lock",
    resourceType: "user",
    prepare: ({ prism, fresh }: World) => makeAccount(prism, { username: fresh() }),
    run: ({ prism }: World, { id }) => prism.patch(api(`/users/${id}`), { status: "disabled" }),
  }),
  change({
    action: "user.unlock",
    resourceType: "user",
    prepare: async ({ prism, fresh }: World) => {
      const { id } = await makeAccount(prism, { username: fresh() });
      await prism.patch(api(`/users/${id}`), { status: "disabled" });
      return id;
    },
    run: ({ prism }: World, id) => prism.patch(api(`/users/${id}`), { status: "active" }),
  }),
  change({
    action: "user.update",
    resourceType: "user",
    prepare: ({ prism, fresh }: World) => makeAccount(prism, { username: fresh() }),
    run: ({ prism }: World, { id }) => prism.delete(api(`/users/${id}`)),
  }),
  {
    action: "role.create",
    resourceType: "role",
    run: ({ prism, fresh }) => prism.post(api("/roles"), { name: `R ${fresh()}`, permissions: ["rules:read"] }),
  },
  change({
    action: "role.update",
    resourceType: "role",
    prepare: makeRole,
    run: ({ prism }: World, id) => prism.put(api(`/roles/${id}`), { permissions: ["rules:read"] }),
  }),
  change({
    action: "role.delete",
    resourceType: "role",
    prepare: makeRole,
    run: ({ prism }: World, id) => prism.delete(api(`/roles/${id}`)),
  }),
  change({
    action: "token.create",
    resourceType: "serviceToken",
    prepare: logInAnn,
    run: ({ prism }: World, { token }) =>
      prism.post(api("/users/me/tokens"), { name: "t", scopes: ["timers:create"] }, { token }),
  }),
  change({
    action: "token.revoke",
    resourceType: "serviceToken",
    prepare: async (world: World) => {
      const { token } = await logInAnn(world);
      const made = { name: "t", scopes: ["timers:create"] };
      const { body } = await world.prism.post<{ id: string }>(api("/users/me/tokens"), made, { token });
      return { token, id: body.id };
    },
    run: ({ prism }: World, { token, id }) => prism.delete(api(`/users/me/tokens/${id}`), { token }),
  }),
];

test("S2-55 S2-105 what happens to accounts leaves its record in the transaction of the change", async (t) => {
  keepsPromise(t, "S2-55");
  await eachLeavesItsRecord(t, await world(t), CHANGES);
});

test("12.9 records of accounts hold ids, never an address, a number, a name or a password", async (t) => {
  const { prism } = await world(t);
  const names = { email: "carla@example.org", phone: "+491701234567", username: "carla-b", name: "Carla Bley" };
  const { body } = await call(prism, api("/auth/register"), { ...names, password: PASSWORD });
  const { id } = body.user;
  await prism.post(api(`/users/${id}/approve`), {});
  const { token } = await logIn(prism, names.email);
  await call(prism, api("/auth/login"), { phone: names.phone, password: "a wrong one" });
  const other = { name: "Carla Borg", email: "borg@example.org", phone: "+491707654321", currentPassword: PASSWORD };
  assert.equal((await prism.put(api("/users/me"), other, { token })).status, 200);
  await prism.put(api("/users/me/push-tokens"), { fcm: "push-token-of-carla" }, { token });
  await prism.patch(api(`/users/${id}`), { username: "carla-c", status: "disabled" });
  await prism.delete(api(`/users/${id}`));
  const rows = rowsOf<{ action: string }>(prism, "select * from audit_log where resourceId = ? or userId = ?", id, id);
  assert.ok(rows.length >= 7, JSON.stringify(rows.map(({ action }) => action)));
  const text = JSON.stringify(rowsOf(prism, "select actor, resourceId, metadata, requestId from audit_log"));
  const { currentPassword: _, ...otherNames } = other;
  for (const personal of [
    ...Object.values(names),
    ...Object.values(otherNames),
    "carla-c",
    PASSWORD,
    "a wrong one",
    "push-token",
  ])
    assert.ok(!text.includes(personal), personal);
});

/** Contract 12.10, as far as this version does it; where the record is proven. */
const PROVEN_IN: Readonly<Record<string, string>> = {
  ...Object.fromEntries(CHANGES.map(({ action }) => [action, "features/records/audit/account-actions.test.ts"])),
  ...Object.fromEntries(
    [
      ...["rule.create", "rule.update", "rule.delete", "project.create", "project.update", "project.delete"],
      ...["member.add", "member.update", "member.remove", "key.create", "key.rotate", "key.revoke"],
      ...["notification.sent", "notification.acknowledged", "notification.webview", "notification.delivered"],
      ...["job.reprocess", "audit.export", "dev.token"],
    ].map((action) => [action, "features/records/audit/actions.test.ts"]),
  ),
  ...Object.fromEntries(
    ["cancel", "retry", "promote", "delete", "pause", "resume", "requeue_dead", "drain"].map((act) => [
      `job.${act}`,
      "features/records/audit/job-actions.test.ts",
    ]),
  ),
  ...Object.fromEntries(
    ["create", "update", "delete", "run"].map((act) => [`schedule.${act}`, "features/time/schedules/routes.test.ts"]),
  ),
  ...Object.fromEntries(
    ["enable", "disable", "reload"].map((act) => [`module.${act}`, "features/records/audit/module-actions.test.ts"]),
  ),
  ...Object.fromEntries(
    ["create", "update", "delete", "test"].map((act) => [
      `webhook.${act}`,
      "features/delivery/webhooks/routes.test.ts",
    ]),
  ),
  "rule.break": "features/rules/costly-rules.test.ts",
  ...Object.fromEntries(
    ["create", "accept", "revoke", "decline"].map((act) => [
      `invitation.${act}`,
      "features/access/projects/invitations.test.ts",
    ]),
  ),
  ...Object.fromEntries(
    ["open", "close", "assign", "discard"].map((act) => [
      `claim.${act}`,
      "features/protocols/integrations/claims.test.ts",
    ]),
  ),
  "channel.resume": "features/delivery/operate.test.ts",
  "webhook.disable": "features/delivery/webhook-sender.test.ts",
  "channel.create": "features/channels/api.test.ts",
  "channel.update": "features/channels/api.test.ts",
  "channel.delete": "features/channels/api.test.ts",
  "channel.disable": "features/channels/api.test.ts",
  "user.passkey": "features/access/passkeys/second-factor.test.ts",
  "user.import": "features/access/users/import.test.ts",
  "user.unsubscribe": "features/delivery/unsubscribe.test.ts",
  "bucket.threshold": "features/buckets/audit.test.ts",
  "bucket.balance": "features/buckets/audit.test.ts",
  "notification.failed": "features/delivery/decisions.test.ts",
  ...Object.fromEntries(
    ["create", "update", "delete", "pause", "resume", "rotate", "key"].map((act) => [
      `heartbeat.${act}`,
      "features/heartbeats/routes.test.ts",
    ]),
  ),
  ...Object.fromEntries(
    ["create", "update", "delete", "rotate"].map((act) => [
      `integration.${act}`,
      "features/protocols/integrations/manage.test.ts",
    ]),
  ),
  ...Object.fromEntries(
    ["create", "update", "delete", "rotate", "pause", "resume", "replay"].map((act) => [
      `receiver.${act}`,
      "features/intake/receivers/manage.test.ts",
    ]),
  ),
  "alert.resolve": "features/alerts/audit.test.ts",
  "routing.update": "features/alerts/audit.test.ts",
  "policy.create": "features/alerts/audit.test.ts",
  "policy.update": "features/alerts/audit.test.ts",
  "policy.delete": "features/alerts/audit.test.ts",
  "user.contact_rules": "features/alerts/audit.test.ts",
  "sound.create": "features/notifications/sounds/upload.test.ts",
  "sound.delete": "features/notifications/sounds/sounds.test.ts",
  "message.send": "features/notifications/messages/audit.test.ts",
  "message.cancel": "features/notifications/messages/audit.test.ts",
  "audit.accept": "features/records/audit/audit-head.test.ts",
  "audit.checkpoint": "features/records/audit/retention.test.ts",
  "backup.create": "cli/backup.test.ts",
  "cluster.compare": "cluster/compare.test.ts",
  "cluster.drill": "cluster/drill.test.ts",
  "cluster.remove": "cluster/repair.test.ts",
  "cluster.step_down": "cluster/step-down.test.ts",
  "backup.restore": "features/records/backup/restore.test.ts",
  "job.bulk": "features/time/jobs/bulk.test.ts",
  "backup.download": "features/records/backup/routes.test.ts",
  "backup.delete": "features/records/backup/routes.test.ts",
  "drill.start": "features/oncall/drill/drills.test.ts",
  "drill.confirm": "features/oncall/drill/drills.test.ts",
  "config.change": "features/records/settings/settings.test.ts",
  "config.mail_test": "features/records/settings/settings.test.ts",
  "config.reload": "cli/serve.test.ts",
  "configuration.apply": "features/records/configuration/apply.test.ts",
  "configuration.unlock": "features/records/configuration/apply.test.ts",
};

test("12.10 every action that the program records has its test, and none that it has not is forgotten when it comes", async () => {
  const root = join(import.meta.dirname, "../../../..");
  for (const [action, file] of Object.entries(PROVEN_IN))
    assert.ok(readFileSync(join(root, "test", file), "utf8").includes(action), `${action} in ${file}`);
  const recorded = new Set<string>();
  for (const file of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(join(root, "src", file), "utf8");
    for (const [, action = ""] of text.matchAll(/(?:\baction: |ecord\((?:trx, )?|_ACTION = )"([a-z]+\.[a-z_]+)"/g))
      recorded.add(action);
  }
  assert.ok(recorded.size > 15, [...recorded].join());
  for (const action of recorded) assert.ok(action in PROVEN_IN, `${action} has no test`);
  const { isWorded } =
    await consoleModule<typeof import("../../../../console/pages/audit/audit-words.ts")>("pages/audit/audit-words.ts");
  // Incidents, silences and on-call are recorded through helpers of their own.
  const others = [
    "acknowledge",
    "unacknowledge",
    "snooze",
    "unsnooze",
    "escalate",
    "resolve",
    "reassign",
    "note",
    "page",
  ];
  const known = [...recorded, ...Object.keys(PROVEN_IN), ...others.map((act) => `incident.${act}`), "silence.expire"];
  for (const action of known) assert.ok(isWorded(action), `${action} has no words in the console`);
});

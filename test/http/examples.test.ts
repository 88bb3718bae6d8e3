import assert from "node:assert/strict";
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import test from "node:test";
import { uuidv7 } from "../../src/core/ids.ts";
import { acknowledgeLink } from "../../src/features/channels/mail/acknowledge.ts";
import { unsubscribeHeaders } from "../../src/features/channels/mail/unsubscribe.ts";
import { acknowledgeToken } from "../../src/features/channels/webpush/message.ts";
import { runCli } from "../cli/run-cli.ts";
import { FakeProvider } from "../features/access/oidc/support/fake-provider.ts";
import { addPasskey, optionsOf, PASSKEYS, SoftPasskey } from "../features/access/passkeys/support/soft-passkey.ts";
import { logIn } from "../features/access/sessions/support/auth-client.ts";
import { challengeOf, pend, protect } from "../features/access/sessions/support/second-factor.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { PASSWORD, Seeded } from "./support/seeded.ts";

interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: unknown }>> };
  readonly "x-alias-of"?: string;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** What a request needs besides the example. */
interface Setting {
  /** Values of the parameters in the path, and of a query where one is required. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members that only a mailed link has. */
  readonly secret?: Readonly<Record<string, unknown>>;
}

/** A user with a second factor, or one that is pending. */
async function makeOwner(seeded: Seeded, prepare: typeof protect | typeof pend): Promise<Setting & { login: string }> {
  const login = seeded.unique("owner");
  await seeded.create("/api/v1/users", { username: login, password: PASSWORD, roles: [] });
  const { app, token } = await prepare(seeded.prism, login, PASSWORD);
  return { login, token, secret: { code: app.code() } };
}

/** A user in a session, and one who has added a passkey in it. */
async function beginner(seeded: Seeded): Promise<string> {
  const login = seeded.unique("beginner");
  await seeded.create("/api/v1/users", { username: login, password: PASSWORD, roles: [] });
  return (await logIn(seeded.prism, login, PASSWORD)).token;
}
async function withPasskey(seeded: Seeded) {
  const token = await beginner(seeded);
  return { token, ...(await addPasskey(seeded.prism, token, { proof: { password: PASSWORD } })) };
}

type Prepare = (seeded: Seeded) => Promise<Setting>;
const made =
  (path: string, operationId: string): Prepare =>
  async (seeded) => {
    const body = seeded.example(operationId);
    const named = "name" in body ? { ...body, name: seeded.unique(String(body.name)) } : body;
    return { params: { id: await seeded.create(path, named) } };
  };
const onUser: Prepare = async (seeded) => ({ params: { id: await seeded.newUser() } });
const onQueue: Prepare = async () => ({ params: { name: "timers" } });
const claimed: Prepare = async ({ prism }) => {
  const claim = uuidv7();
  const row = {
    id: claim,
    claimId: claim,
    hash: claim,
    prefix: "",
    at: 0,
    address: "",
    action: "close",
    alias: null,
  };
  const kept = { message: null, body: "{}", bytes: 2, keptUntil: 1, outcome: null, assignedAt: null };
  await prism.parts.base.database.write((trx) =>
    trx
      .insertInto("integration_claims")
      .values({ ...row, ...kept, integrationId: null })
      .execute(),
  );
  return { params: { id: claim } };
};

const onProject: Prepare = async (seeded) => ({ params: { id: await seeded.project() } });
const onTimer: Prepare = made("/api/v1/time/trigger", "createTimer");
const onNotification: Prepare = made("/api/v1/notifications", "sendNotification");
/** An on-call schedule, with one of its shifts or overrides. */
function onOnCall(kind?: string, operationId = ""): Prepare {
  return async (seeded) => {
    const schedules = "/api/v1/oncall/schedules";
    const id = await seeded.create(schedules, { name: seeded.unique("on call") });
    if (kind === undefined) return { params: { id } };
    return { params: { id, shiftId: await seeded.create(`${schedules}/${id}/${kind}`, seeded.example(operationId)) } };
  };
}
const onIncident: Prepare = async (seeded) => {
  const { prism } = seeded;
  const { defaultProjectId } = prism.parts.offers;
  const labels = { alertname: seeded.unique("alert") };
  const input = {
    projectId: defaultProjectId,
    source: "api",
    sourceId: null,
    key: labels.alertname,
    labels,
  } as const;
  await prism.parts.offers.alerts.submit([input]);
  const { id } = await prism.services.db.read
    .selectFrom("incidents")
    .select("id")
    .where("title", "=", labels.alertname)
    .executeTakeFirstOrThrow();
  return { params: { id } };
};
const onLeasedJob: Prepare = async (seeded) => {
  const token = await seeded.workerToken();
  return { token, params: { id: await seeded.leasedJob(token) } };
};

/** What operations need that have parameters in their path, or take a secret. */
const PREPARE: Readonly<Record<string, Prepare>> = {
  reprocessEvent: made("/api/v1/events", "sendEvents"),
  updateRule: made("/api/v1/rules", "createRule"),
  patchRule: made("/api/v1/rules", "createRule"),
  restoreRuleVersion: async (seeded) => {
    const { params } = await made("/api/v1/rules", "createRule")(seeded);
    return { params: { ...params, version: "1" } };
  },
  acknowledgeNotification: onNotification,
  acknowledgePush: async (seeded) => {
    const { config, clock } = seeded.prism.parts.base;
    const subscriptionId = await seeded.create(
      "/api/v1/users/me/push-subscriptions",
      seeded.example("addPushSubscription"),
    );
    const { params } = await onNotification(seeded);
    const of = { subscriptionId, notificationId: params?.["id"] ?? "" };
    return { secret: { token: acknowledgeToken(config, of, clock.now()) } };
  },
  recordWebviewAction: onNotification,
  updateSchedule: made("/api/v1/schedules", "createSchedule"),
  acknowledgeIncident: onIncident,
  unacknowledgeIncident: async (seeded) => {
    const made = await onIncident(seeded);
    await seeded.prism.post(`/api/v1/incidents/${made.params?.["id"]}/acknowledge`, {});
    return made;
  },
  snoozeIncident: onIncident,
  unsnoozeIncident: onIncident,
  resolveIncident: onIncident,
  escalateIncident: onIncident,
  addIncidentNote: onIncident,
  addResponders: onIncident,
  reassignIncident: onIncident,
  updatePolicy: made("/api/v1/policies", "createPolicy"),
  patchPolicy: made("/api/v1/policies", "createPolicy"),
  updateSilence: made("/api/v1/silences", "createSilence"),
  updateOnCallSchedule: onOnCall(),
  createOnCallShift: onOnCall(),
  updateOnCallShift: onOnCall("shifts", "createOnCallShift"),
  createOnCallOverride: onOnCall(),
  updateOnCallOverride: onOnCall("overrides", "createOnCallOverride"),
  createOnCallSwap: onOnCall(),
  unlockManagedObject: async (seeded) => {
    const files = { ...seeded.example("applyConfiguration"), mode: "apply" };
    await answered(200, seeded.prism.post("/api/v1/configuration", files, { token: seeded.token }));
    return {};
  },
  takeOnCallSwap: async (seeded) => {
    const id = await seeded.create("/api/v1/oncall/schedules", { name: seeded.unique("on call") });
    const userId = await seeded.create("/api/v1/users", { username: seeded.unique("asking"), password: PASSWORD });
    const span = { start: "2099-01-01T00:00:00Z", end: "2099-01-02T00:00:00Z", userId };
    return { params: { id, shiftId: await seeded.create(`/api/v1/oncall/schedules/${id}/swaps`, span) } };
  },
  updateOnCallDaysOff: async (seeded) => {
    const days = { userId: "admin", firstDay: "2031-05-01", lastDay: "2031-05-01" };
    return { params: { id: await seeded.create("/api/v1/oncall/days-off", days) } };
  },
  updateChannel: made("/api/v1/channels", "createChannel"),
  testChannel: made("/api/v1/channels", "createChannel"),
  updateWebhook: made("/api/v1/webhooks", "createWebhook"),
  retryDelivery: async (seeded) => ({ params: { id: await seeded.deadDelivery() } }),
  resumeDeliveryChannel: async () => ({ params: { name: "email" } }),
  updateTask: made("/api/v1/tasks", "createTask"),
  patchTask: made("/api/v1/tasks", "createTask"),
  setBucketThreshold: made("/api/v1/transfer-buckets", "createTransferBucket"),
  setBucketBalance: made("/api/v1/transfer-buckets", "createTransferBucket"),
  ...Object.fromEntries(
    ["updateHeartbeat", "pauseHeartbeat", "rotateHeartbeat"].map((id) => [
      id,
      made("/api/v1/heartbeats", "createHeartbeat"),
    ]),
  ),
  updateStatusNotice: made("/api/v1/status-page/notices", "createStatusNotice"),
  ...Object.fromEntries(
    ["updateReceiver", "rotateReceiver", "testReceiver"].map((id) => [id, made("/api/v1/receivers", "createReceiver")]),
  ),
  updateIntegration: made("/api/v1/integrations", "createIntegration"),
  rotateIntegration: made("/api/v1/integrations", "createIntegration"),
  assignIntegrationClaim: claimed,
  discardIntegrationClaim: claimed,
  resumeHeartbeat: async (seeded) => {
    const setting = await made("/api/v1/heartbeats", "createHeartbeat")(seeded);
    await seeded.prism.post(`/api/v1/heartbeats/${setting.params?.["id"]}/pause`, {}, seeded);
    return setting;
  },
  updateProject: onProject,
  addProjectMember: onProject,
  createApiKey: onProject,
  addMirrorObservations: async (seeded) => {
    const { prism } = seeded;
    const project = { name: seeded.unique("mirror"), settings: { mirror: { from: "pagerduty" } } };
    const id = await seeded.create("/api/v1/projects", project);
    const { body } = await prism.post<{ key: string }>(`/api/v1/projects/${id}/keys`, { scopes: ["mirror:observe"] });
    return { token: body.key };
  },
  updateProjectMember: async (seeded) => {
    const id = await seeded.project();
    await seeded.create(`/api/v1/projects/${id}/members`, { userId: "viewer", role: "editor" });
    const { body } = await seeded.prism.get<{ data: { userId: string; username: string }[] }>(
      `/api/v1/projects/${id}/members`,
      seeded,
    );
    return { params: { id, userId: body.data.find(({ username }) => username === "viewer")?.userId ?? "" } };
  },
  rotateApiKey: async (seeded) => {
    const id = await seeded.project();
    return {
      params: { id, keyId: await seeded.create(`/api/v1/projects/${id}/keys`, seeded.example("createApiKey")) },
    };
  },
  updateRole: made("/api/v1/roles", "createRole"),
  updateUser: onUser,
  approveUser: onUser,
  rejectUser: onUser,
  pauseQueue: onQueue,
  resumeQueue: onQueue,
  requeueDeadJobs: onQueue,
  drainQueue: onQueue,
  cancelJob: onTimer,
  promoteJob: onTimer,
  retryJob: async (seeded) => {
    const setting = await onTimer(seeded);
    await seeded.prism.post(`/api/v1/jobs/${setting.params?.["id"]}/cancel`, {}, seeded);
    return setting;
  },
  claimJobs: async (seeded) => ({ token: await seeded.workerToken() }),
  renewLeases: onLeasedJob,
  completeJob: onLeasedJob,
  failJob: onLeasedJob,
  register: async ({ prism, token }) => {
    // Each alias offers the same account.
    const { body } = await prism.get<{ data: { id: string }[] }>("/api/v1/users?q=alan", { token });
    for (const { id } of body.data) await prism.delete(`/api/v1/users/${id}`, { token });
    return {};
  },
  refreshTokens: async (seeded) => {
    const [cookie = ""] = (await seeded.login()).headers.getSetCookie();
    return { headers: { Cookie: cookie.split(";")[0] ?? "", Origin: seeded.prism.url } };
  },
  logout: async (seeded) => ({ token: (await seeded.login()).body.token }),
  signInByLink: async (seeded) => {
    const { body } = await seeded.prism.get<{ id: string }>("/api/v1/users/me", seeded);
    return { secret: { token: await seeded.oneTimeToken(body.id, "sign_in") } };
  },
  loginWithSecondFactor: async (seeded) => {
    const { login, secret } = await makeOwner(seeded, protect);
    return { secret: { ...secret, challenge: await challengeOf(seeded.prism, login, PASSWORD) } };
  },
  linkIdentity: async (seeded) => ({ token: await beginner(seeded) }),
  prepareIdentity: onUser,
  beginPasskey: async (seeded) => ({ token: await beginner(seeded) }),
  addPasskey: async (seeded) => {
    const token = await beginner(seeded);
    const { body } = await seeded.prism.post<{ challenge: string }>(
      `${PASSKEYS}/begin`,
      { password: PASSWORD },
      { token },
    );
    return { token, secret: { passkey: new SoftPasskey(seeded.prism).made(body) } };
  },
  renamePasskey: async (seeded) => {
    const { token, id } = await withPasskey(seeded);
    return { token, params: { passkeyId: id } };
  },
  removePasskey: async (seeded) => {
    const { token, id, recoveryCodes } = await withPasskey(seeded);
    return { token, params: { passkeyId: id }, secret: { code: undefined, recoveryCode: recoveryCodes[0] } };
  },
  signInByPasskey: async (seeded) => {
    const { passkey } = await withPasskey(seeded);
    return { secret: { passkey: passkey.answer(await optionsOf(seeded.prism)) } };
  },
  confirmSecondFactor: (seeded) => makeOwner(seeded, pend),
  renewRecoveryCodes: (seeded) => makeOwner(seeded, protect),
  removeSecondFactor: (seeded) => makeOwner(seeded, protect),
  verifyEmail: async (seeded) => ({
    secret: { token: await seeded.oneTimeToken(await seeded.newUser(), "verify_email") },
  }),
  resetPassword: async (seeded) => ({
    secret: { token: await seeded.oneTimeToken(await seeded.newUser(), "reset_password") },
  }),
  getInvitationByToken: async (seeded) => ({ secret: { token: await seeded.invitation() } }),
  acceptInvitationByToken: async (seeded) => ({ secret: { token: await seeded.invitation() } }),
  acknowledgeByMail: async (seeded) => {
    const { config, clock } = seeded.prism.parts.base;
    const { body } = await seeded.prism.get<{ id: string }>("/api/v1/users/me", seeded);
    const { params } = await onNotification(seeded);
    const of = { userId: body.id, notificationId: params?.["id"] ?? "" };
    const link = acknowledgeLink({ ...config, publicUrl: "https://prism.example" }, of, clock.now());
    return { query: `?${link?.split("?")[1]}` };
  },
  unsubscribe: async ({ prism }) => {
    const userId = prism.parts.offers.users.find("user") ?? "";
    const { config } = prism.parts.base;
    const headers = unsubscribeHeaders({ ...config, publicUrl: "https://prism.example" }, { userId, kind: "digest" });
    return { query: `?${/\?([^>]+)>/.exec(headers["List-Unsubscribe"] ?? "")?.[1]}` };
  },
};

/** These change the credentials that the others use. */
const LAST = ["changePassword"];
/** test/cluster sends them to clusters. */
const OF_CLUSTERS = ["compareCluster", "drillCluster", "stepDownCluster"];

function bodyOf(
  type: string,
  example: unknown,
  secret: object = {},
): { body: unknown; headers: Record<string, string> } {
  if (type === "application/json")
    return {
      body: Array.isArray(example) ? example : { ...(example as object), ...secret },
      headers: { "Content-Type": type },
    };
  if (type === "multipart/form-data") {
    const boundary = "example";
    const parts = Object.entries(example as Record<string, string>).map(
      ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    return {
      body: `${parts.join("")}--${boundary}--\r\n`,
      headers: { "Content-Type": `${type}; boundary=${boundary}` },
    };
  }
  const text =
    typeof example === "string" ? example : new URLSearchParams(example as Record<string, string>).toString();
  return { body: text, headers: { "Content-Type": type } };
}

function replaceLookup(lookup: typeof dns.lookup): void {
  dns.lookup = lookup;
  syncBuiltinESMExports();
}

test("each example of the API page succeeds when an administrator of the seeded server sends it unchanged", async (t) => {
  const cwd = temporaryDir(t);
  const seeding = await runCli(["seed", "--demo"], { cwd });
  assert.equal(seeding.status, 0, seeding.stderr);
  const passwd = await runCli(["user", "passwd", "admin", "--stdin"], { cwd, input: PASSWORD });
  assert.equal(passwd.status, 0, passwd.stderr);
  // The machine of the test may have no DNS, and must not call the host of an example.
  const { lookup } = dns;
  t.after(() => replaceLookup(lookup));
  replaceLookup((async () => [{ address: "127.0.0.1", family: 4 }]) as unknown as typeof lookup);
  const provider = await FakeProvider.start(t);
  const settings = {
    "rateLimit.enabled": "false",
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
    "auth.oidc": JSON.stringify([provider.settings()]),
  };
  const prism = await startPrism(t, { dir: join(cwd, "data"), settings });
  const { body: document } = await prism.get<Document>("/openapi.json", { token: null });
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const original = operation["x-alias-of"];
      const id = original === undefined ? operation.operationId : document.paths[original]?.[method]?.operationId;
      return { id: id ?? "", method: method.toUpperCase(), path, content: operation.requestBody?.content ?? {} };
    }),
  );
  const seeded = new Seeded(prism, (id) => {
    const content = operations.find((each) => each.id === id)?.content["application/json"];
    return (content?.example ?? {}) as object;
  });
  const login = await answered(200, seeded.login());
  seeded.token = login.body.token;
  const isLast = (id: string): number => Number(LAST.includes(id));
  for (const { id, method, path, content } of operations.sort((a, b) => isLast(a.id) - isLast(b.id))) {
    for (const [type, { example }] of Object.entries(content)) {
      if (example === undefined || OF_CLUSTERS.includes(id)) continue;
      await t.test(`${method} ${path}, ${type}`, async () => {
        const setting = (await PREPARE[id]?.(seeded)) ?? {};
        const filled = path.replace(/\{(\w+)\}/g, (_whole, name: string) => setting.params?.[name] ?? "me");
        const { body, headers } = bodyOf(type, example, setting.secret);
        const reply = await prism.request(method, filled + (setting.query ?? ""), body, {
          token: setting.token ?? seeded.token,
          headers: { ...headers, ...setting.headers },
        });
        const hint = PREPARE[id] ? "" : `; does ${id} need a line in PREPARE?`;
        assert.ok(reply.status >= 200 && reply.status < 300, `${reply.status} ${reply.text}${hint}`);
      });
    }
  }
});

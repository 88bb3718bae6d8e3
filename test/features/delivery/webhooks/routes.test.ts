import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { status, WebPeer } from "../support/web-peer.ts";

const PATH = "/api/v1/webhooks";
/** An IP address, which needs no name resolution; no test calls it. */
const URL = "https://1.1.1.1/hook";

interface View {
  readonly id: string;
  readonly projectId: string | null;
  readonly userId: string | null;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly active: boolean;
  readonly failures: number;
  readonly disabledAt: string | null;
  readonly previousSecretUntil: string | null;
  readonly version: number;
  readonly secret?: string;
  readonly error: { readonly code: string; readonly message: string; readonly details: readonly { path: string }[] };
}

/** A server that webhooks on this machine may be called by. */
const startNear = (t: TestContext, options: PrismOptions = {}): Promise<TestPrism> =>
  startPrism(t, { ...options, settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8", ...options.settings } });

const create = (prism: TestPrism, body: object = {}, { token }: { token?: string } = {}) =>
  prism.post<View>(PATH, { url: URL, ...body }, token === undefined ? {} : { token });

/** What a secret signs. */
const signature = (secret: string, id: unknown, timestamp: unknown, body: string): string =>
  `v1,${createHmac("sha256", Buffer.from(secret.slice(6), "base64"))
    .update(`${id}.${timestamp}.${body}`)
    .digest("base64")}`;

test("12.10 a webhook is made, shown, changed, tried and deleted; its secret is shown once, and each change leaves its record", async (t) => {
  const prism = await startNear(t);
  const peer = await WebPeer.start(t);
  const made = await create(prism, { url: peer.url });
  assert.equal(made.status, 201, made.text);
  const { secret, ...view } = made.body;
  const { id } = view;
  assert.match(secret ?? "", /^whsec_[A-Za-z0-9+/]{43}=$/);
  assert.deepEqual([view.eventTypes, view.active, view.failures, view.projectId], [["*"], true, 0, null]);
  const shown = await prism.get<View>(`${PATH}/${id}`);
  assert.deepEqual(shown.body, view);
  assert.equal(shown.headers.get("etag"), made.headers.get("etag"));
  const etag = shown.headers.get("etag") ?? "";
  assert.equal((await prism.get(`${PATH}/${id}`, { headers: { "If-None-Match": etag } })).status, 304);

  const changes = { eventTypes: ["order.*", "refund"], active: false };
  const changed = await prism.put<View>(`${PATH}/${id}`, changes, { headers: { "If-Match": etag } });
  assert.deepEqual(
    [changed.status, changed.body.eventTypes, changed.body.active, changed.body.url, changed.body.version],
    [200, ["order.*", "refund"], false, peer.url, 2],
  );
  assert.equal(changed.body.secret, undefined);
  const late = await prism.put<View>(`${PATH}/${id}`, { active: true }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual([late.status, late.body.error.code], [412, "VERSION_CONFLICT"]);
  assert.equal((await prism.post(`${PATH}/${id}/test`)).status, 200);

  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  for (const gone of [
    prism.get<View>(`${PATH}/${id}`),
    prism.put<View>(`${PATH}/${id}`, {}),
    prism.delete<View>(`${PATH}/${id}`),
    prism.post<View>(`${PATH}/${id}/test`),
    prism.get<View>(`${PATH}/x`),
  ])
    assert.equal((await gone).body.error.code, "WEBHOOK_NOT_FOUND");
  const records = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where resourceType = 'webhook' and resourceId = ? order by seq",
    id,
  );
  assert.deepEqual(valuesOf(records, "action"), ["webhook.create", "webhook.update", "webhook.test", "webhook.delete"]);
  assert.doesNotMatch(JSON.stringify(records), /whsec_|127\.0\.0\.1/);
});

test("12.8 a webhook's secret lies sealed", async (t) => {
  const prism = await startPrism(t);
  const { id, secret = "" } = (await create(prism)).body;
  const key = Buffer.from(secret.slice(6), "base64");
  await prism.put(`${PATH}/${id}`, { rotateSecret: true });
  const [row] = rowsOf<{ secret: Buffer; previousSecret: Buffer }>(prism, "select * from webhooks");
  assert.ok(row);
  for (const column of ["secret", "previousSecret"] as const) assert.equal(row[column].includes(key), false);
  const { box } = prism.parts.base;
  assert.deepEqual(box.open(`webhooks.previousSecret.${id}`, row.previousSecret), key);
});

test("a test calls the webhook with a sample notification, signed; a rotation has two signatures until it ends", async (t) => {
  const clock = new FakeClock();
  const prism = await startNear(t, { clock });
  const peer = await WebPeer.start(t);
  const { id, secret: old = "" } = (await create(prism, { url: peer.url })).body;
  const rotated = await prism.put<View>(`${PATH}/${id}`, { rotateSecret: true, graceMs: 60_000 });
  const { secret: young = "", previousSecretUntil } = rotated.body;
  assert.notEqual(young, old);
  assert.equal(previousSecretUntil, new Date(clock.now() + 60_000).toISOString());

  const signedBy = async (...secrets: readonly string[]): Promise<void> => {
    const tested = await prism.post<{ webhookId: string }>(`${PATH}/${id}/test`);
    assert.deepEqual(tested.body, { webhookId: tested.body.webhookId, delivered: true, status: 204, error: null });
    const { headers, body } = peer.received.at(-1) ?? assert.fail("no request was received");
    const { "webhook-id": webhookId, "webhook-timestamp": timestamp } = headers;
    assert.equal(webhookId, tested.body.webhookId);
    assert.equal(
      headers["webhook-signature"],
      secrets.map((secret) => signature(secret, webhookId, timestamp, body)).join(" "),
    );
    const { type, data } = JSON.parse(body) as { type: string; data: { title: string; data: unknown } };
    assert.deepEqual([type, data.title, data.data], ["notification", "Test", { test: true }]);
  };
  await signedBy(young, old);
  clock.advance(60_000);
  await signedBy(young);
  assert.equal((await prism.get<View>(`${PATH}/${id}`)).body.previousSecretUntil, null);
  const at = await prism.put<View>(`${PATH}/${id}`, { rotateSecret: true, graceMs: 0 });
  await signedBy(at.body.secret ?? "");
  assert.equal(scalarOf(prism, "select previousSecret from webhooks"), null);
  assert.equal(scalarOf(prism, "select count(*) from notifications"), 0, "it was no notification");
});

test("a test says what came of it, and counts for nothing", async (t) => {
  const prism = await startNear(t);
  const peer = await WebPeer.start(t);
  const { id } = (await create(prism, { url: peer.url })).body;
  const run = async () => {
    const { body } = await prism.post<{ delivered: boolean; status: number | null; error: string }>(
      `${PATH}/${id}/test`,
    );
    return [body.delivered, body.status, body.error];
  };
  for (const code of [410, 500, 302]) {
    peer.answer = status(code);
    assert.deepEqual(await run(), [false, code, `the webhook answered ${code}`]);
  }
  peer.answer = (_response, request) => void request.socket.destroy();
  const [delivered, answered, error] = await run();
  assert.deepEqual([delivered, answered], [false, null]);
  assert.match(String(error), /no answer: the connection was/);
  const { body } = await prism.get<View>(`${PATH}/${id}`);
  assert.deepEqual([body.active, body.failures, body.disabledAt], [true, 0, null]);
});

test("eight tests run at a time, four of one person; further ones are refused with Retry-After", async (t) => {
  const prism = await startNear(t);
  const peer = await WebPeer.start(t);
  const { id } = (await create(prism, { url: peer.url })).body;
  const waiting: (() => void)[] = [];
  peer.answer = (response) => void waiting.push(() => void response.writeHead(204).end());
  const run = (token = prism.adminToken) =>
    prism.post<{ delivered: boolean; error: { code: string } }>(`${PATH}/${id}/test`, undefined, { token });
  const running = Array.from({ length: 4 }, () => run());
  await eventually("four are called", () => waiting.length === 4);
  const fifth = await run();
  assert.deepEqual([fifth.status, fifth.body.error.code, fifth.headers.get("retry-after")], [429, "RATE_LIMITED", "1"]);
  for (const name of ["eve", "uma"]) {
    const { token } = await makeUser(prism, name, ["Admin"]);
    const own = (await create(prism, { url: peer.url }, { token })).body;
    const test = () =>
      prism.post<{ delivered: boolean; error: { code: string } }>(`${PATH}/${own.id}/test`, undefined, { token });
    if (name === "eve") running.push(...Array.from({ length: 4 }, test));
    else {
      await eventually("eight are called", () => waiting.length === 8);
      const ninth = await test();
      assert.deepEqual([ninth.status, ninth.body.error.code], [503, "OVERLOADED"]);
    }
  }
  for (const go of waiting) go();
  for (const { body } of await Promise.all(running)) assert.equal(body.delivered, true);
  peer.answer = status(204);
  assert.equal((await run()).body.delivered, true);
});

test("12.6 a URL that this server is not sent to is refused when a webhook is made, changed and tried", async (t) => {
  const prism = await startPrism(t);
  for (const url of [
    "http://127.0.0.1/",
    "https://localhost/",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2130706433/",
    "https://1.1.1.1:22/",
    "https://u:p@1.1.1.1/",
    "ftp://1.1.1.1/",
    "hook",
  ]) {
    const { status: code, body } = await create(prism, { url });
    assert.deepEqual([code, body.error.code], [422, "URL_REFUSED"], url);
  }
  const { id } = (await create(prism)).body;
  const moved = await prism.put<View>(`${PATH}/${id}`, { url: "https://192.168.0.1/" });
  assert.deepEqual([moved.status, moved.body.error.code], [422, "URL_REFUSED"]);
  await prism.services.db.write((trx) => trx.updateTable("webhooks").set({ url: "https://10.0.0.1/" }).execute());
  const tested = await prism.post<View>(`${PATH}/${id}/test`);
  assert.deepEqual([tested.status, tested.body.error.code], [422, "URL_REFUSED"]);
  assert.equal((await create(prism, { url: "http://1.1.1.1/" })).status, 201, "development lets http out");
});

test("a user's webhooks are only the user's; a project's are for users who may read its events", async (t) => {
  const prism = await startPrism(t);
  const project = await makeProject(prism);
  const other = await makeUser(prism, "rita", ["RuleManager"]);
  const asRita = { token: other.token };
  const own = (await create(prism)).body;
  const theirs = (await create(prism, { projectId: project.id })).body;
  assert.deepEqual([theirs.projectId, theirs.userId], [project.id, null]);
  for (const { id } of [own, theirs])
    for (const reply of [
      prism.get<View>(`${PATH}/${id}`, asRita),
      prism.put<View>(`${PATH}/${id}`, { active: false }, asRita),
      prism.delete<View>(`${PATH}/${id}`, asRita),
      prism.post<View>(`${PATH}/${id}/test`, undefined, asRita),
    ])
      assert.equal((await reply).body.error.code, "WEBHOOK_NOT_FOUND");
  assert.equal((await prism.get<View>(`${PATH}?projectId=${project.id}`, asRita)).body.error.code, "PROJECT_NOT_FOUND");

  await prism.post(`/api/v1/projects/${project.id}/members`, { userId: other.id, role: "viewer" });
  assert.equal((await prism.get<View>(`${PATH}/${theirs.id}`, asRita)).status, 200);
  assert.equal((await prism.get<View>(`${PATH}/${own.id}`, asRita)).status, 404);
  const ids = async (query: string, options = {}) =>
    (await prism.get<{ data: { id: string }[] }>(`${PATH}${query}`, options)).body.data.map(({ id }) => id);
  assert.deepEqual(await ids(""), [own.id]);
  assert.deepEqual(await ids("", asRita), []);
  assert.deepEqual(await ids(`?projectId=${project.id}`, asRita), [theirs.id]);
  assert.deepEqual(await ids("?projectId=shop"), [theirs.id], "by its slug");
});

test("webhooks are listed newest first, page by page, and are not of any number", async (t) => {
  const prism = await startPrism(t, {
    settings: { "rateLimit.enabled": "false", "limits.webhooksPerOwner": "10" },
  });
  const made: string[] = [];
  for (let n = 0; n < 10; n++) made.unshift((await create(prism)).body.id);
  const list = async (query: string) =>
    (await prism.get<{ data: { id: string }[]; total?: number; nextCursor: string | null }>(`${PATH}?${query}`)).body;
  const first = await list("limit=6");
  const second = await list(`limit=6&cursor=${first.nextCursor}`);
  assert.deepEqual(valuesOf([...first.data, ...second.data], "id"), made);
  assert.equal(second.nextCursor, null);
  assert.deepEqual([(await list("page=2&limit=9")).data.length, (await list("page=1")).total], [1, 10]);
  const more = await create(prism);
  assert.deepEqual([more.status, more.body.error.code], [409, "LIMIT_REACHED"]);
});

test("what a webhook cannot be is refused, and nothing is kept of it", async (t) => {
  const prism = await startPrism(t);
  for (const [body, path] of [
    [{ url: undefined }, "url"],
    [{ url: `https://1.1.1.1/${"a".repeat(2048)}` }, "url"],
    [{ eventTypes: [] }, "eventTypes"],
    [{ eventTypes: ["order.*.paid"] }, "eventTypes.0"],
    [{ eventTypes: [""] }, "eventTypes.0"],
    [{ eventTypes: Array.from({ length: 51 }, () => "a") }, "eventTypes"],
    [{ secret: "whsec_AAAA" }, "secret"],
  ] as const) {
    const { status: code, body: refused } = await create(prism, body);
    assert.deepEqual([code, refused.error.code, refused.error.details[0]?.path], [400, "VALIDATION_FAILED", path]);
  }
  assert.equal((await create(prism, { projectId: "nowhere" })).body.error.code, "PROJECT_NOT_FOUND");
  const { id } = (await create(prism, { eventTypes: ["*", "a.b:c/d-e", "order.*"] })).body;
  const grace = await prism.put<View>(`${PATH}/${id}`, { graceMs: 5 });
  assert.deepEqual([grace.status, grace.body.error.code], [400, "VALIDATION_FAILED"]);
  assert.equal(scalarOf(prism, "select count(*) from webhooks"), 1);
});

test("a webhook that was disabled is switched on again with a clean record", async (t) => {
  const prism = await startPrism(t);
  const { id } = (await create(prism)).body;
  await prism.services.db.write((trx) =>
    trx.updateTable("webhooks").set({ active: 0, failures: 50, disabledAt: 1 }).where("id", "=", id).execute(),
  );
  const off = (await prism.get<View>(`${PATH}/${id}`)).body;
  assert.deepEqual([off.active, off.failures, off.disabledAt], [false, 50, "1970-01-01T00:00:00.001Z"]);
  const on = (await prism.put<View>(`${PATH}/${id}`, { active: true })).body;
  assert.deepEqual([on.active, on.failures, on.disabledAt], [true, 0, null]);
});

test("webhooks end with their project, and with their user", async (t) => {
  const prism = await startPrism(t);
  const project = await makeProject(prism);
  const rita = await makeUser(prism, "rita", ["RuleManager"]);
  const theirs = (await create(prism, { projectId: project.id })).body;
  await prism.post(PATH, { url: URL }, { token: rita.token });
  const own = (await create(prism)).body;
  assert.equal((await prism.delete(`/api/v1/projects/${project.id}`)).status, 204);
  assert.equal((await prism.delete(`/api/v1/users/${rita.id}`)).status, 204);
  assert.deepEqual(rowsOf(prism, "select id from webhooks"), [{ id: own.id }]);
  assert.deepEqual(
    rowsOf(prism, "select metadata from audit_log where action = 'webhook.delete' and resourceId = ?", theirs.id),
    [{ metadata: JSON.stringify({ version: 1, projectId: project.id, by: "project.delete" }) }],
  );
});

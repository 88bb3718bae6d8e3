import assert from "node:assert/strict";
import test from "node:test";
import type { ProjectPage as Page } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";

interface Project {
  id: string;
  slug: string;
  name: string;
  role: string | null;
  settings: Record<string, unknown>;
  version: number;
  apiKey?: string;
  keys?: { prefix: string; name: string }[];
  eventCount?: number;
  lastEventAt?: string | null;
  error?: { code: string; details?: { path: string }[] };
}
const PATH = "/api/v1/projects";

const make = (prism: TestPrism, body: object, token?: string) =>
  prism.post<Project>(PATH, body, token === undefined ? {} : { token });

test("S1-33: making a project makes its maker the owner and shows its first key once", async (t) => {
  keepsPromise(t, "S1-33");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const settings = { alertThreshold: 5, retentionDays: 90, emailAlerts: false, digest: true, own: { kept: 1 } };
  const { status, body } = await prism.post<Project>(
    "/projects",
    { name: "Café Nord", settings },
    { token: uma.token },
  );
  assert.equal(status, 201);
  const { id, apiKey, ...shown } = body;
  assert.deepEqual(
    { ...shown, createdAt: null },
    { slug: "cafe-nord", name: "Café Nord", role: "owner", ownerId: uma.id, settings, version: 1, createdAt: null },
  );
  assert.match(apiKey ?? "", /^prk_/);
  assert.equal((await prism.post("/ingest", { type: "a" }, { apiKey: apiKey ?? "" })).status, 202);
  const again = await prism.get<Project>(`${PATH}/${id}`, { token: uma.token });
  assert.equal(again.text.includes(apiKey ?? "?"), false);
  assert.deepEqual(
    again.body.keys?.map(({ name, prefix }) => [name, prefix.length]),
    [["default", 8]],
  );
  assert.equal(
    rowsOf(prism, "select 1 from api_keys where hash = ? or prefix = ?", apiKey, apiKey).length,
    0,
    "it is stored hashed",
  );
});

test("a slug is made from the name, with a number appended if it is taken", async (t) => {
  const prism = await startPrism(t);
  for (const [name, slug] of [
    ["My Shop!", "my-shop"],
    ["my shop", "my-shop-2"],
    ["MY--SHOP", "my-shop-3"],
    ["Default", "default-2"],
    ["Ünïcödé Straße", "unicode-stra-e"],
    ["日本", "project"],
    ["--", "project-2"],
    ["0198c0de-0000-7000-8000-00000000dead", "0198c0de-0000-7000-8000-00000000dead-1"],
    [`${"x".repeat(55)} y and more`, "x".repeat(55)],
  ] as const) {
    const { body } = await make(prism, { name });
    assert.equal(body.slug, slug, name);
  }
});

test("a slug that is given must be free and of its letters", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await make(prism, { name: "a", slug: "shop" })).body.slug, "shop");
  const taken = await make(prism, { name: "b", slug: "shop" });
  assert.deepEqual([taken.status, taken.body.error?.code], [409, "NAME_TAKEN"]);
  assert.equal((await make(prism, { name: "b", slug: "default" })).status, 409);
  for (const { body, path } of [
    { body: { name: "b", slug: "Shop" }, path: "slug" },
    { body: { name: "b", slug: "" }, path: "slug" },
    { body: { name: "b", slug: "0198c0de-0000-7000-8000-00000000dead" }, path: "slug" },
    { body: { name: "b", slug: "x".repeat(65) }, path: "slug" },
    { body: { name: "" }, path: "name" },
    { body: { name: "x".repeat(256) }, path: "name" },
    { body: {}, path: "name" },
    { body: { name: "b", settings: { alertThreshold: 0 } }, path: "settings.alertThreshold" },
    { body: { name: "b", settings: { retentionDays: 3651 } }, path: "settings.retentionDays" },
    { body: { name: "b", settings: { emailAlerts: "no" } }, path: "settings.emailAlerts" },
    { body: { name: "b", settings: { own: "x".repeat(17_000) } }, path: "settings" },
    { body: { name: "b", colour: 1 }, path: "colour" },
  ]) {
    const { status, body: reply } = await make(prism, body);
    assert.deepEqual([status, reply.error?.details?.[0]?.path], [400, path]);
  }
});

test("S1-32: the list holds the projects one is a member of, and default for its readers; with projects:all every one", async (t) => {
  keepsPromise(t, "S1-32");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const vic = await makeUser(prism, "vic", ["Viewer"]);
  await make(prism, { name: "hers 100%" }, uma.token);
  await make(prism, { name: "hers too", slug: "second-x" }, uma.token);
  await make(prism, { name: "the administrator's" });
  const list = async (token: string, query = "") => (await prism.get<Page>(`/projects${query}`, { token })).body;
  const names = ({ data }: Page) => data.map(({ name, role }) => `${name}: ${role}`);
  assert.deepEqual(names(await list(uma.token)), ["hers too: owner", "hers 100%: owner"]);
  assert.deepEqual(names(await list(vic.token)), ["Default: null"], "read by a server role, not as a member");
  assert.deepEqual(names(await list(prism.adminToken)), [
    "the administrator's: owner",
    "hers too: null",
    "hers 100%: null",
    "Default: null",
  ]);
  assert.deepEqual(names(await list(uma.token, "?q=100%25")), ["hers 100%: owner"]);
  assert.deepEqual(names(await list(uma.token, "?q=SECOND-")), ["hers too: owner"]);
  const first = await list(uma.token, "?limit=1");
  const rest = await list(uma.token, `?limit=1&cursor=${first.nextCursor}`);
  assert.deepEqual([names(first).length, names(rest), rest.nextCursor], [1, ["hers 100%: owner"], null]);
  assert.equal((await list(uma.token, "?page=1&limit=1")).total, 2);
  assert.equal((await list(vic.token, "?page=1&limit=1")).total, 1);
  const own = await make(prism, { name: "keyed" });
  assert.equal((await prism.get(PATH, { apiKey: own.body.apiKey ?? "" })).status, 403);
});

test("S1-34: a project by id or slug, with its counts", async (t) => {
  keepsPromise(t, "S1-34");
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const vic = await makeUser(prism, "vic", ["Viewer"]);
  await prism.post("/ingest", [{ type: "a" }, { type: "b" }], { apiKey: shop.apiKey });
  for (const ref of [shop.id, "shop"]) {
    const { status, headers, body } = await prism.get<Project>(`/projects/${ref}`);
    assert.deepEqual([status, body.id, body.eventCount], [200, shop.id, 2]);
    assert.match(headers.get("etag") ?? "", /^"1\.[\w-]{16}"$/);
    assert.equal(
      body.lastEventAt,
      new Date(scalarOf<number>(prism, "select max(receivedAt) from events") ?? 0).toISOString(),
    );
  }
  const byKey = await prism.get<Project>(`/projects/${shop.id}`, { apiKey: shop.apiKey });
  assert.deepEqual([byKey.status, byKey.body.role, byKey.body.keys], [200, null, []]);
  for (const [ref, token] of [
    ["nowhere", prism.adminToken],
    [shop.id, vic.token],
    ["shop", vic.token],
  ] as const) {
    const reply = await prism.get<Project>(`/projects/${ref}`, { token });
    assert.deepEqual([reply.status, reply.body.error?.code], [404, "PROJECT_NOT_FOUND"]);
  }
  const empty = await prism.get<Project>("/projects/default", { token: vic.token });
  assert.deepEqual([empty.body.eventCount, empty.body.lastEventAt, empty.body.keys], [0, null, []]);
});

test("owners change name and settings; a version that has passed is a conflict", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const editor = await makeUser(prism, "editor");
  await prism.post(`${PATH}/${shop.id}/members`, { userId: editor.id, role: "editor" });
  const path = `${PATH}/shop`;
  const first = await prism.patch<Project>(path, { name: "Store", settings: { digest: true } });
  assert.deepEqual(
    [first.status, first.body.name, first.body.slug, first.headers.get("etag")],
    [200, "Store", "shop", '"2"'],
  );
  const merged = await prism.patch<Project>(
    path,
    { settings: { alertThreshold: 3 } },
    { headers: { "If-Match": '"2"' } },
  );
  assert.deepEqual(merged.body.settings, { digest: true, alertThreshold: 3 });
  const stale = await prism.patch<Project>(path, { name: "x" }, { headers: { "If-Match": '"2"' } });
  assert.deepEqual([stale.status, stale.body.error?.code], [412, "VERSION_CONFLICT"]);
  const refused = await prism.patch<Project>(path, { name: "x" }, { token: editor.token });
  assert.deepEqual([refused.status, refused.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
  assert.equal((await prism.patch(path, { slug: "other" })).status, 400);
});

test("settings are limited together, however many requests they come in; null removes one", async (t) => {
  const prism = await startPrism(t);
  await make(prism, { name: "shop", settings: { digest: true, retentionDays: null, none: null } });
  const path = `${PATH}/shop`;
  const set = (settings: object) => prism.patch<Project>(path, { settings });
  const shown = async () => (await prism.get<Project>(path)).body.settings;
  assert.deepEqual(await shown(), { digest: true }, "a member that is null is none");
  const text = "x".repeat(6000);
  assert.equal((await set({ a: text })).status, 200);
  assert.equal((await set({ b: text })).status, 200);
  const refused = await set({ c: text });
  assert.deepEqual(
    [refused.status, refused.body.error?.code, refused.body.error?.details?.[0]?.path],
    [400, "VALIDATION_FAILED", "settings"],
  );
  assert.deepEqual(Object.keys((await shown()) ?? {}), ["digest", "a", "b"]);
  const replaced = await set({ a: null, b: "short", c: text, digest: null, alertThreshold: 3 });
  assert.deepEqual([replaced.status, replaced.body.settings], [200, { b: "short", c: text, alertThreshold: 3 }]);
  assert.equal((await set({ alertThreshold: 0 })).status, 400);
});

test("S1-35: a deleted project is gone at once with its keys and rules, and its events by a job", async (t) => {
  keepsPromise(t, "S1-35");
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const events = Array.from({ length: 1200 }, () => ({ type: "x" }));
  await prism.post("/ingest", events, { apiKey: shop.apiKey });
  await prism.post("/api/v1/events", { type: "x" });
  await prism.post("/api/v1/rules", {
    name: "r",
    condition: "event.type == 'x'",
    targetUsers: ["me"],
    projectId: "shop",
  });
  assert.equal((await prism.delete(`/projects/${shop.id}`)).status, 204);
  assert.equal((await prism.delete<Project>(`/projects/${shop.id}`)).body.error?.code, "PROJECT_NOT_FOUND");
  assert.equal((await prism.get("/projects/shop")).status, 404);
  assert.equal((await prism.post("/ingest", { type: "x" }, { apiKey: shop.apiKey })).status, 401);
  assert.equal((await prism.post("/api/v1/events", { type: "x", projectId: shop.id })).status, 404);
  assert.equal((await prism.get<Page>("/api/v1/rules")).body.data.length, 0);
  assert.equal(prism.parts.offers.rules.size, 0);
  await eventually("the events are gone", () => scalarOf(prism, "select count(*) from events") === 1);
  assert.equal(scalarOf(prism, "select count(*) from api_keys where revokedAt is null"), 0);
  assert.deepEqual(rowsOf(prism, "select name, deletedAt is not null as gone from rules"), [{ name: "r", gone: 1 }]);
  assert.equal((await make(prism, { name: "shop" })).body.slug, "shop", "its slug is free");
});

test("the default project stays, and only owners delete one", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  const editor = await makeUser(prism, "editor", ["User"]);
  await prism.post(`${PATH}/${shop.id}/members`, { userId: editor.id, role: "editor" });
  for (const { ref, token, status, code } of [
    { ref: "default", token: prism.adminToken, status: 409, code: "DEFAULT_PROJECT" },
    { ref: "default", token: editor.token, status: 403, code: "UNAUTHORIZED_ROLE" },
    { ref: "shop", token: editor.token, status: 403, code: "UNAUTHORIZED_ROLE" },
  ]) {
    const reply = await prism.delete<Project>(`${PATH}/${ref}`, { token });
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
  }
  const viewer = await makeUser(prism, "viewer", ["Viewer"]);
  const refused = await make(prism, { name: "x" }, viewer.token);
  assert.deepEqual([refused.status, refused.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
});

import assert from "node:assert/strict";
import test from "node:test";
import { isDeepStrictEqual } from "node:util";
import { LOCKED_ROUTES } from "../../../../src/features/records/configuration/locked-routes.ts";
import { type ManagedRow, storeManaged } from "../../../../src/features/records/configuration/managed-objects.ts";
import { overSocket } from "../../../helpers/control.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { ACCESS } from "../../../http/support/access/index.ts";
import type { Known } from "../../../http/support/access/known.ts";
import { SETTINGS } from "../../../http/support/access/matrix.ts";
import { adminOf, makeAccessWorld } from "../../../http/support/access/world.ts";
import { configure, type FileObject } from "./configuration.ts";

const OPERATOR: Known = { kind: "user", role: "Admin", member: null, id: "", scopes: null };

/** What files may own, by kind and id. */
async function objectsOf(prism: TestPrism) {
  const { context } = prism.parts.features;
  const kinds = await context.configKinds({});
  const projects = await context.db.read.selectFrom("projects").select("id").where("deletedAt", "is", null).execute();
  const found = new Map<string, { readonly row: ManagedRow; readonly spec: unknown }>();
  for (const kind of kinds)
    for (const projectId of kind.scope === "server" ? [null] : projects.map(({ id }) => id))
      for (const { id: objectId, name, spec, secrets, isImplicit } of await kind.list(context.db.read, projectId)) {
        if (isImplicit) continue;
        const row = {
          ...{ kind: kind.kind, objectId, projectId, name, source: "files", place: "duty.yaml:1:1", spec: "{}" },
          ...{ version: "1", isLocked: 1, unlockedUntil: null, appliedAt: 0 },
        };
        found.set(`${kind.kind} ${objectId}`, { row, spec: { spec, secrets } });
      }
  return found;
}

async function setLocks(prism: TestPrism, rows: readonly ManagedRow[], isLocked: boolean): Promise<void> {
  const { db } = prism.parts.features.core;
  await db.write((trx) => storeManaged(trx, isLocked ? rows : [], isLocked ? [] : rows));
}

/** What files own is changed by these all the same. */
const ALLOWED = {
  "POST /api/v1/receivers/:id/pause": "a pause is work of the night",
  "POST /api/v1/users/:id/approve": "who has registered waits for it",
  "PUT /api/v1/users/me": "people keep their own profile",
};

test("no route changes what files own and lock, but for those with a reason", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const world = await makeAccessWorld(prism);
  const { headers } = adminOf(world);
  const refused = new Set<string>();
  const changing = new Set<string>();
  for (const { route, path, isAlias } of prism.parts.core.router.mounts) {
    if (isAlias || route.method === "GET") continue;
    const key = `${route.method} ${path}`;
    for (const row of ACCESS[key] ?? []) {
      const given = await row.request(world, row.isOperators ? OPERATOR : adminOf(world), true);
      const { method = route.method } = given;
      const before = await objectsOf(prism);
      const rows = [...before.values()].map((each) => each.row);
      await setLocks(prism, rows, true);
      const reply = await (row.isOperators
        ? overSocket(prism.dir, method, given.path, given.body)
        : prism.request(method, given.path, given.body, { token: null, headers }));
      if (reply.text.includes("MANAGED_BY_CODE")) refused.add(route.id ?? key);
      const after = await objectsOf(prism);
      const isChanged = [...before].some(([id, { spec }]) => !isDeepStrictEqual(after.get(id)?.spec, spec));
      if (isChanged) changing.add(key);
      await setLocks(prism, rows, false);
    }
  }
  assert.deepEqual([...changing].sort(), Object.keys(ALLOWED).sort());
  // The next test asks these, where a project has them.
  const others = ["putRouting", "putStatusPage"];
  assert.deepEqual(
    [...LOCKED_ROUTES.keys()].filter((id) => !refused.has(id) && !others.includes(id)),
    [],
  );
});

const TOKEN = { env: "PRISM_SECRET_ROOM" };
const KEY = { name: "checks", scopes: ["events:read", "events:write"] };

test("imports and other protocols are refused in their own form, and store nothing", async (t) => {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const ada = await makeUser(prism, "ada");
  const condition = "event.type == 'a'";
  const files: readonly FileObject[] = [
    ["projects", null, { slug: "duty", name: "Duty" }],
    ["people", null, { username: "ada", email: "ada@files.example", name: "Ada" }],
    ["members", "duty", { ada: "owner" }],
    ["channels", "duty", { name: "Room", preset: "gotify", fields: { url: "https://127.0.0.1:1", token: TOKEN } }],
    ["policies", "duty", { name: "Night", steps: [{ type: "notify", members: true }] }],
    ["routes", "duty", { route: { policy: "Night" } }],
    ["rules", "duty", { name: "Big", condition, targetUsers: ["ada"] }],
    ["heartbeats", "duty", { name: "Nightly", timeout: "1d" }],
    ["statusPage", "duty", { enabled: true, title: "Duty" }],
    ["ntfyTopics", "duty", { name: "backups", kind: "messages" }],
    ["ntfyAccess", "duty", { users: { ada: { backups: "read" } } }],
  ];
  const secrets = { "env:PRISM_SECRET_ROOM": "secret-of-the-room" };
  await answered(200, configure(prism, "apply", files, { lock: true, secrets }));
  const { body: key } = await answered(201, prism.post<{ key: string }>("/api/v1/projects/duty/keys", KEY));
  const byKey = { token: null, headers: { "x-api-key": key.key } };
  const checks = "/healthchecks/api/v3/checks/";
  const uuid = (await prism.get<{ checks: { uuid: string }[] }>(checks, byKey)).body.checks[0]?.uuid;
  const steps = [{ type: "notify", users: [ada.id] }];
  const rules = [{ name: "Big", projectId: "duty", condition, priority: 7 }];
  const room = {
    ...{ ref: "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60", name: "Room", preset: "gotify" },
    fields: { url: "https://127.0.0.1:2", token: "another-secret-of-it" },
  };
  const users = [{ username: "ada", email: "ada@files.example", name: "Eve" }];
  const requests: readonly (readonly [string, string, unknown?])[] = [
    ["POST", "/api/v1/rules/import", { rules, update: true }],
    ["POST", "/api/v1/routes/import?projectId=duty", { policies: [{ name: "Night", steps }], replace: true }],
    ["POST", "/api/v1/routes/import?projectId=duty", { routing: { route: { policy: "default" } }, replace: true }],
    ["POST", "/api/v1/routes/import?projectId=duty", { channels: [room], replace: true }],
    ["PUT", "/api/v1/routes?projectId=duty", { route: { policy: "default" } }],
    ["PUT", "/api/v1/status-page?projectId=duty", { enabled: true, title: "Other" }],
    ["POST", "/api/v1/users/import?existing=update", users],
    ["DELETE", "/api/v1/ntfy/topics/backups"],
    ["PUT", "/api/v1/ntfy/access", { projectId: "duty", user: "ada", topic: "backups", permission: "read-write" }],
    ["DELETE", "/api/v1/ntfy/access?projectId=duty"],
    ["POST", checks, { name: "Nightly", unique: ["name"], timeout: 3600 }],
    ["POST", `${checks}${uuid}`, { timeout: 3600 }],
    ["DELETE", `${checks}${uuid}`],
  ];
  const specsOf = async () => [...(await objectsOf(prism))].map(([id, { spec }]) => [id, spec]);
  const before = await specsOf();
  for (const [method, path, body] of requests) {
    const isForeign = path.startsWith("/healthchecks");
    const reply = await prism.request<{ error: unknown }>(method, path, body, isForeign ? byKey : {});
    assert.deepEqual([reply.status, reply.text.includes("MANAGED_BY_CODE")], [409, true], `${path} ${reply.text}`);
    if (isForeign) assert.equal(typeof reply.body.error, "string");
  }
  assert.deepEqual(await specsOf(), before);
  // What no file has is as before.
  const other = await prism.post(checks, { name: "Weekly", unique: ["name"], timeout: 3600 }, byKey);
  assert.equal(other.status, 201, other.text);
  const mine = await prism.post("/api/v1/rules/import", {
    rules: [{ ...rules[0], name: "Mine", targetUsers: ["ada"] }],
  });
  assert.equal(mine.status, 200, mine.text);
});

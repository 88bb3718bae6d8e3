import assert from "node:assert/strict";
import test from "node:test";
import type { Mount } from "../../src/http/server/router.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";
import { ACCESS } from "./support/access/index.ts";
import { adminOf, makeAccessWorld } from "./support/access/world.ts";

interface Refusal {
  error?: { code: string; details: { path: string; code: string; message: string }[] };
}

const SETTINGS = { "rateLimit.enabled": "false", "auth.bcryptCost": "4" };

/** Changes that have no resource of their own to read: commands, secrets, and a list's entries. */
const WITHOUT_RESOURCE = [
  "PUT /api/v1/users/me/password",
  "PUT /api/v1/users/me/push-tokens",
  "PUT /api/v1/notifications/:id/acknowledge",
  "PATCH /api/v1/projects/:id/members/:userId",
  "PATCH /api/v1/users/me/passkeys/:passkeyId",
  "PUT /api/v1/settings",
  "PUT /api/v1/ntfy/access",
];

test("every resource that PUT or PATCH changes takes back the object that GET gave", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const world = await makeAccessWorld(prism);
  const admin = adminOf(world);
  const token = String(admin.headers["Authorization"]).replace("Bearer ", "");
  for (const mount of prism.parts.core.router.mounts) {
    const { route } = mount;
    const key = `${route.method} ${route.path}`;
    const isChange = route.method === "PUT" || route.method === "PATCH";
    if (!isChange || !route.body || mount.isAlias || route.undocumented || WITHOUT_RESOURCE.includes(key)) continue;
    await t.test(key, async () => {
      const [row] = ACCESS[key] ?? [];
      assert.ok(row, `${key} is in no table`);
      const { path } = await row.request(world, admin, true);
      const given = await answered(200, prism.get<Record<string, unknown>>(resourcePath(mount, path), { token }));
      await answered(200, prism.request<Refusal>(route.method, path, given.body, { token }));
      const again = await prism.get<Record<string, unknown>>(resourcePath(mount, path), { token });
      assert.deepEqual(settled(again.body), settled(given.body), "and nothing but the version changes");
    });
  }
});

/** A change's own path, or the resource it names. */
function resourcePath({ route: { resource } }: Mount, path: string): string {
  if (resource === undefined) return path;
  const length = resource.split("/").length;
  return path.split("/").slice(0, length).join("/");
}

function settled({
  version: _v,
  updatedAt: _u,
  lastUsedAt: _l,
  nextRuns: _n,
  nextRunAt: _r,
  ...rest
}: Record<string, unknown>) {
  return rest;
}

async function makeRule(prism: TestPrism): Promise<{ path: string; rule: Record<string, unknown> }> {
  const { body } = await prism.post("/api/v1/rules", { name: "r", condition: "true", targetUsers: ["me"] });
  const path = `/api/v1/rules/${String(body["id"])}`;
  return { path, rule: (await prism.get(path)).body };
}

test("a member that the server sets is refused with another value, and the answer names all of them", async (t) => {
  const prism = await startPrism(t);
  const { path, rule } = await makeRule(prism);
  const change = { ...rule, id: "x", version: 7, createdBy: null, name: 5, priority: 0.5, unheardOf: 1, other: 2 };
  const { body } = await answered(400, prism.put<Refusal>(path, change));
  assert.deepEqual(body.error?.details.map(({ path, code }) => [path, code]).sort(), [
    ["createdBy", "READ_ONLY"],
    ["id", "READ_ONLY"],
    ["name", "TYPE"],
    ["other", "UNKNOWN_MEMBER"],
    ["priority", "VALUE"],
    ["unheardOf", "UNKNOWN_MEMBER"],
    ["version", "READ_ONLY"],
  ]);
  assert.equal((await prism.get(path)).body["version"], 1);
});

test("totals that grew since GET are no conflict; a version that is no longer current is one", async (t) => {
  const prism = await startPrism(t);
  const { path, rule } = await makeRule(prism);
  const stats = { ...(rule["stats"] as object), matched: 99 };
  assert.equal((await prism.put(path, { ...rule, stats, priority: 2 })).status, 200);
  const stale = await answered(400, prism.put<Refusal>(path, { ...rule, priority: 3 }));
  const [first, version] = stale.body.error?.details.toSorted((a, b) => a.path.localeCompare(b.path)) ?? [];
  assert.deepEqual([first?.path, version?.path], ["updatedAt", "version"]);
  assert.equal(version?.message, "is set by the server; leave it out or send 2");
});

test("a caller who may not read a resource learns nothing of it from a refused change", async (t) => {
  const prism = await startPrism(t);
  const { path, rule } = await makeRule(prism);
  const { token } = await makeUser(prism, "stranger", ["User"]);
  const reply = await answered(400, prism.put<Refusal>(path, { ...rule, nothing: 1 }, { token }));
  assert.ok(reply.body.error?.details.every(({ code }) => code === "UNKNOWN_MEMBER"));
});

test("every unknown member of a body is named, in objects within it too", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Refusal>("/api/v1/rules", {
    name: "r",
    condition: "true",
    one: 1,
    two: 2,
    three: 3,
    dedupe: { key: "k", windowMs: 5000, four: 4, five: 5 },
  });
  assert.deepEqual(body.error?.details.map(({ path }) => path).sort(), [
    "dedupe.five",
    "dedupe.four",
    "one",
    "three",
    "two",
  ]);
});

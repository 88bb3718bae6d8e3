import { UserAdmin } from "../../../src/services/user-admin.ts";
import { makeUser } from "../../helpers/people.ts";
import type { TestPrism } from "../../helpers/prism.ts";

export const ROLES = ["Admin", "RuleManager", "Operator", "User", "Viewer", "Auditor"] as const;
export const MEMBERSHIPS = ["viewer", "editor", "owner"] as const;
export const SCOPES = [
  "events:write",
  "events:read",
  "realtime:subscribe",
  "realtime:publish",
  "notifications:send",
] as const;

export type Membership = (typeof MEMBERSHIPS)[number];

/** Somebody with a credential that counts. */
export type Known =
  | {
      readonly kind: "user";
      readonly role: (typeof ROLES)[number] | null;
      readonly member: Membership | null;
      readonly id: string;
    }
  | { readonly kind: "key"; readonly scope: (typeof SCOPES)[number]; readonly isOfShop: boolean };

/** `refused`: what every route that is not public answers whatever it is about. */
export type Caller = { readonly name: string; readonly headers: Readonly<Record<string, string>> } & (
  | Known
  | { readonly kind: "refused"; readonly status: number; readonly code: string }
);

/** What the routes of the matrix are about: the project `shop`, what is in it, and what belongs to its keeper. */
export interface AccessWorld {
  readonly prism: TestPrism;
  readonly shop: string;
  /** Owner of the shop, who calls nothing. */
  readonly keeper: string;
  /** A member of the shop who is made a member and removed. */
  readonly spare: string;
  readonly event: string;
  readonly rule: string;
  readonly notification: string;
  readonly callers: readonly Caller[];
}

export async function makeAccessWorld(prism: TestPrism): Promise<AccessWorld> {
  const keeper = (await makeUser(prism, "keeper")).id;
  const spare = (await makeUser(prism, "spare")).id;
  const shop = await idOf(prism.post("/api/v1/projects", { name: "shop" }));
  const other = await idOf(prism.post("/api/v1/projects", { name: "other" }));
  await join(prism, shop, keeper, "owner");
  const admin = await idOf(prism.get("/api/v1/users/me"));
  await leave(prism, shop, admin);
  const event = await idOf(prism.post("/api/v1/events", { type: "a", projectId: shop }));
  const rule = await makeRule(prism, shop);
  const notification = await idOf(
    prism.post("/api/v1/notifications", { userId: keeper, title: "t", message: "the keeper's own" }),
  );
  const callers = [...(await users(prism, shop)), ...(await keys(prism, shop, other)), ...(await refused(prism, shop))];
  return { prism, shop, keeper, spare, event, rule, notification, callers };
}

export async function makeRule(prism: TestPrism, projectId: string): Promise<string> {
  return idOf(
    prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'never'", targetRoles: ["Admin"], projectId }),
  );
}

export async function makeKey(
  prism: TestPrism,
  projectId: string,
  body: object = {},
): Promise<{ id: string; key: string }> {
  return (await prism.post<{ id: string; key: string }>(`/api/v1/projects/${projectId}/keys`, body)).body;
}

export async function join(prism: TestPrism, projectId: string, userId: string, role: Membership): Promise<void> {
  const { db, clock, system } = prism.services;
  await db.write((trx) =>
    trx
      .insertInto("project_members")
      .values({ projectId, userId, role, createdAt: clock.now() })
      .onConflict((conflict) => conflict.columns(["projectId", "userId"]).doUpdateSet({ role }))
      .execute(),
  );
  system.rightsChanged();
}

async function leave(prism: TestPrism, projectId: string, userId: string): Promise<void> {
  const { db, system } = prism.services;
  await db.write((trx) =>
    trx.deleteFrom("project_members").where("projectId", "=", projectId).where("userId", "=", userId).execute(),
  );
  system.rightsChanged();
}

/** Every built-in role and none, each as a stranger and in every role of the project. */
async function users(prism: TestPrism, shop: string): Promise<Caller[]> {
  const callers: Caller[] = [];
  for (const role of [null, ...ROLES]) {
    for (const member of [null, ...MEMBERSHIPS]) {
      const name = `${role ?? "no role"}, ${member ?? "stranger"}`;
      const username = name.toLowerCase().replace(/\W+/g, "-");
      const { id, token } = await makeUser(prism, username, role === null ? [] : [role]);
      if (member) await join(prism, shop, id, member);
      callers.push({ name, headers: { Authorization: `Bearer ${token}` }, kind: "user", role, member, id });
    }
  }
  return callers;
}

async function keys(prism: TestPrism, shop: string, other: string): Promise<Caller[]> {
  const callers: Caller[] = [];
  for (const isOfShop of [true, false]) {
    for (const scope of SCOPES) {
      const { key } = await makeKey(prism, isOfShop ? shop : other, { scopes: [scope] });
      const name = `key of ${isOfShop ? "the project" : "another project"}, ${scope}`;
      callers.push({ name, headers: { "X-API-Key": key }, kind: "key", scope, isOfShop });
    }
  }
  return callers;
}

/** Credentials that have ended, or never were any. */
async function refused(prism: TestPrism, shop: string): Promise<Caller[]> {
  const { db, audit, clock, system } = prism.services;
  const admin = new UserAdmin(audit, clock);
  const user = async (status: "disabled" | "pending" | "unverified"): Promise<string> => {
    const { id, token } = await makeUser(prism, `user-${status}`, ["Admin"]);
    await db.write((trx) => trx.updateTable("users").set({ status }).where("id", "=", id).execute());
    return `Bearer ${token}`;
  };
  const gone = await makeUser(prism, "gone", ["Admin"]);
  await db.write((trx) => trx.updateTable("users").set({ deletedAt: 1 }).where("id", "=", gone.id).execute());
  const holder = (await makeUser(prism, "holder", ["Admin"])).id;
  const service = (expiresAt?: number) =>
    db.write((trx) => admin.createToken({ userId: holder, name: "t", ...(expiresAt ? { expiresAt } : {}) }, trx));
  const revokedToken = await service();
  await db.write((trx) => admin.revokeToken(revokedToken.id, trx));
  const revokedKey = await makeKey(prism, shop);
  await prism.delete(`/api/v1/projects/${shop}/keys/${revokedKey.id}`);
  const rotatedKey = await makeKey(prism, shop);
  await prism.post(`/api/v1/projects/${shop}/keys/${rotatedKey.id}/rotate`, {});
  const expiredKey = await makeKey(prism, shop, { expiresAt: "2001-01-01T00:00:00Z" });
  const deleted = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "deleted" });
  await prism.delete(`/api/v1/projects/${deleted.body.id}`);
  const session = { Cookie: `prism_refresh=${"x".repeat(43)}` };
  const authorization = (value: string) => ({ Authorization: value });
  const rows: readonly [string, Record<string, string>, number, string][] = [
    ["nobody", {}, 401, "UNAUTHENTICATED"],
    ["nobody, with a cookie", session, 401, "UNAUTHENTICATED"],
    ["another scheme", authorization("Basic ZGV2OmRldg=="), 401, "UNAUTHENTICATED"],
    ["no token at all", authorization("Bearer nonsense"), 401, "TOKEN_INVALID"],
    ["disabled user", authorization(await user("disabled")), 403, "ACCOUNT_DISABLED"],
    ["pending user", authorization(await user("pending")), 403, "ACCOUNT_PENDING"],
    ["unverified user", authorization(await user("unverified")), 403, "ACCOUNT_UNVERIFIED"],
    ["deleted user", authorization(`Bearer ${gone.token}`), 401, "TOKEN_INVALID"],
    ["revoked service token", authorization(`Bearer ${revokedToken.token}`), 401, "TOKEN_INVALID"],
    ["expired service token", authorization(`Bearer ${(await service(1)).token}`), 401, "TOKEN_EXPIRED"],
    ["revoked key", { "X-API-Key": revokedKey.key }, 401, "INVALID_API_KEY"],
    ["rotated key", { "X-API-Key": rotatedKey.key }, 401, "INVALID_API_KEY"],
    ["expired key", { "X-API-Key": expiredKey.key }, 401, "INVALID_API_KEY"],
    ["key of a deleted project", { "X-API-Key": deleted.body.apiKey }, 401, "INVALID_API_KEY"],
    [
      "two credentials",
      { ...authorization(`Bearer ${prism.adminToken}`), "X-API-Key": "k" },
      400,
      "AMBIGUOUS_CREDENTIALS",
    ],
  ];
  system.rightsChanged();
  return rows.map(([name, headers, status, code]) => ({ name, headers, kind: "refused", status, code }));
}

async function idOf(reply: Promise<{ body: Record<string, unknown> }>): Promise<string> {
  return String((await reply).body["id"]);
}

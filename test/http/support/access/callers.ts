import { AccessTokens } from "../../../../src/features/access/authenticate/access-tokens.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { CALLERS_PASSWORD, type Caller, MEMBERSHIPS, ROLES, SCOPES } from "./known.ts";
import { join, makeKey, makeServiceToken, openSession } from "./makers.ts";

/** All who call: with credentials that count, and with such as do not. */
export async function makeCallers(prism: TestPrism, shop: string, other: string): Promise<Caller[]> {
  return [
    ...(await users(prism, shop)),
    ...(await services(prism)),
    ...(await keys(prism, shop, other)),
    ...(await refused(prism, shop)),
  ];
}

const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** Every built-in role and none, each as a stranger and in every role of the project. */
async function users(prism: TestPrism, shop: string): Promise<Caller[]> {
  const { database: db } = prism.parts.base;
  const { passwords } = prism.parts.offers.accounts;
  const passwordHash = await passwords.hash(CALLERS_PASSWORD);
  const callers: Caller[] = [];
  for (const role of [null, ...ROLES]) {
    for (const member of [null, ...MEMBERSHIPS]) {
      const name = `${role ?? "no role"}, ${member ?? "stranger"}`;
      const username = name.toLowerCase().replace(/\W+/g, "-");
      const { id, token } = await makeUser(prism, username, role === null ? [] : [role]);
      await db.write((trx) => trx.updateTable("users").set({ passwordHash }).where("id", "=", id).execute());
      if (member) await join(prism, shop, id, member);
      callers.push({ name, headers: bearer(token), kind: "user", role, member, id, scopes: null });
    }
  }
  return callers;
}

const SERVICE_SCOPES = [
  ...(["users:read", "users:manage", "roles:read", "audit:read", "jobs:work", "tasks:own"] as const),
  ...(["notifications:read_all", "projects:create", "account:own", "notifications:own", "messages:own"] as const),
];

/** Service tokens of an Admin who is in no project. */
async function services(prism: TestPrism): Promise<Caller[]> {
  const { id } = await makeUser(prism, "served", ["Admin"]);
  const callers: Caller[] = [];
  for (const permission of SERVICE_SCOPES) {
    const scopes = [permission];
    const { token } = await makeServiceToken(prism, id, { scopes });
    const name = `service token of an Admin, ${permission}`;
    callers.push({ name, headers: bearer(token), kind: "user", role: "Admin", member: null, id, scopes });
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
  const key = (secret: string) => ({ "X-API-Key": secret });
  const cookie = { Cookie: `prism_refresh=${"x".repeat(43)}` };
  const rows: readonly [string, Record<string, string>, number, string][] = [
    ["nobody", {}, 401, "UNAUTHENTICATED"],
    ["nobody, with a cookie", cookie, 401, "UNAUTHENTICATED"],
    ["another scheme", { Authorization: "Negotiate ZGV2OmRldg==" }, 401, "UNAUTHENTICATED"],
    ["no token at all", bearer("nonsense"), 401, "TOKEN_INVALID"],
    ["two credentials", { ...bearer(prism.adminToken), ...key("k") }, 400, "AMBIGUOUS_CREDENTIALS"],

    ["disabled user", bearer(await disabledUser(prism)), 403, "ACCOUNT_DISABLED"],
    ["pending user", bearer(await userWho(prism, { status: "pending" })), 403, "ACCOUNT_PENDING"],
    ["unverified user", bearer(await userWho(prism, { status: "unverified" })), 403, "ACCOUNT_UNVERIFIED"],
    ["deleted user", bearer(await userWho(prism, { deletedAt: 1 })), 401, "TOKEN_INVALID"],

    ["expired access token", bearer(await expiredToken(prism)), 401, "TOKEN_EXPIRED"],
    ["logged out", bearer(await loggedOut(prism)), 401, "SESSION_REVOKED"],
    ["revoked service token", bearer(await revokedServiceToken(prism)), 401, "TOKEN_INVALID"],
    ["expired service token", bearer(await expiredServiceToken(prism)), 401, "TOKEN_EXPIRED"],

    ["revoked key", key(await revokedKey(prism, shop)), 401, "INVALID_API_KEY"],
    ["rotated key", key(await rotatedKey(prism, shop)), 401, "INVALID_API_KEY"],
    ["expired key", key(await expiredKey(prism, shop)), 401, "INVALID_API_KEY"],
    ["key of a deleted project", key(await keyOfDeletedProject(prism)), 401, "INVALID_API_KEY"],
  ];
  return rows.map(([name, headers, status, code]) => ({ name, headers, kind: "refused", status, code }));
}

/** @returns an access token of an Admin whose account is like this. */
async function userWho(
  prism: TestPrism,
  columns: { readonly status: "pending" | "unverified" } | { readonly deletedAt: number },
): Promise<string> {
  const { database: db } = prism.parts.base;
  const { rightsChanged } = prism;
  const { id, token } = await makeUser(prism, `user-${Object.values(columns).join()}`, ["Admin"]);
  await db.write((trx) => trx.updateTable("users").set(columns).where("id", "=", id).execute());
  rightsChanged();
  return token;
}

async function disabledUser(prism: TestPrism): Promise<string> {
  const { id, token } = await makeUser(prism, "user-disabled", ["Admin"]);
  await succeeds(prism.patch(`/api/v1/users/${id}`, { status: "disabled" }));
  return token;
}

async function expiredToken(prism: TestPrism): Promise<string> {
  const { config } = prism.parts.base;
  const { id } = await makeUser(prism, "late", ["Admin"]);
  const longAgo = prism.parts.base.clock.now() - 86_400_000;
  const issuer = new AccessTokens({
    secret: config.secrets.access,
    audience: config.auth.audience,
    expiresMs: config.auth.accessExpires,
    clock: { ...prism.parts.base.clock, now: () => longAgo },
  });
  return (await issuer.issue(id)).token;
}

async function loggedOut(prism: TestPrism): Promise<string> {
  const { id } = await makeUser(prism, "left", ["Admin"]);
  const { token } = await prism.parts.offers.accessTokens.issue(id, await openSession(prism, id));
  await succeeds(prism.get("/api/v1/users/me", { token }));
  await succeeds(prism.post("/api/v1/auth/logout", {}, { token }));
  return token;
}

async function revokedServiceToken(prism: TestPrism): Promise<string> {
  const user = await makeUser(prism, "holder", ["Admin"]);
  const { id, token } = await makeServiceToken(prism, user.id);
  await succeeds(prism.get("/api/v1/users/me", { token }));
  await succeeds(prism.delete(`/api/v1/users/me/tokens/${id}`, { token: user.token }));
  return token;
}

async function expiredServiceToken(prism: TestPrism): Promise<string> {
  const { id } = await makeUser(prism, "late-holder", ["Admin"]);
  return (await makeServiceToken(prism, id, { expiresAt: 1 })).token;
}

async function revokedKey(prism: TestPrism, shop: string): Promise<string> {
  const { id, key } = await makeKey(prism, shop);
  await succeeds(prism.delete(`/api/v1/projects/${shop}/keys/${id}`));
  return key;
}

async function rotatedKey(prism: TestPrism, shop: string): Promise<string> {
  const { id, key } = await makeKey(prism, shop);
  await succeeds(prism.post(`/api/v1/projects/${shop}/keys/${id}/rotate`, {}));
  return key;
}

async function expiredKey(prism: TestPrism, shop: string): Promise<string> {
  return (await makeKey(prism, shop, { expiresAt: "2001-01-01T00:00:00Z" })).key;
}

async function keyOfDeletedProject(prism: TestPrism): Promise<string> {
  const { body } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "deleted" });
  await succeeds(prism.delete(`/api/v1/projects/${body.id}`));
  return body.apiKey;
}

async function succeeds(reply: Promise<{ status: number; text: string }>): Promise<void> {
  const { status, text } = await reply;
  if (status >= 300) throw new Error(`${status} ${text}`);
}

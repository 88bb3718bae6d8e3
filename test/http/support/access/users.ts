import { randomUUID } from "node:crypto";
import { TestBrowser } from "../../../helpers/web-push.ts";
import { CALLERS_PASSWORD } from "./known.ts";
import { makeServiceToken } from "./makers.ts";
import { anyUser, holds, inPerson, may, NO_ROLE, NO_SCOPE, ownersAnd, scoped } from "./refusals.ts";
import { at, inWorld, NO_ID, open, type Row, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const spare = ({ spare: id }: AccessWorld): string => `/api/v1/users/${id}`;

/**
 * A request about an account of its own, which waits for approval: it will not do so afterwards.
 */
const aboutOneWaiting =
  (suffix: string, body?: object): Row["request"] =>
  async (world, _who, isServed) => ({
    path: `/api/v1/users/${isServed ? await makeWaiting(world) : world.spare}${suffix}`,
    body,
  });

async function makeWaiting({ prism }: AccessWorld): Promise<string> {
  const { body } = await prism.post<{ id: string }>("/api/v1/users", {
    username: newName(),
    status: "pending",
    roles: [],
  });
  return body.id;
}

const newName = (): string => `u-${randomUUID()}`;
const tokenAt = (id: string): string => `/api/v1/users/me/tokens/${id}`;

const FINDING = ["rules:write", "notifications:send", "users:read"] as const;
const ownAccount = scoped(["account:own"]);
const IDENTITIES = "/api/v1/users/me/identities";
const SUBSCRIPTIONS = "/api/v1/users/me/push-subscriptions";
const NO_SUBSCRIPTION = [404, "PUSH_SUBSCRIPTION_NOT_FOUND"] as const;

/** Contract 4.5: accounts. */
export const USERS: Table = {
  "GET /api/v1/users/me": { refusal: ownAccount, request: at("/api/v1/users/me") },
  "PUT /api/v1/users/me": { refusal: ownAccount, request: at("/api/v1/users/me", { name: "again" }) },
  // PATCH is served by the seeds' paths alone.
  "PATCH /api/v1/profile": { refusal: ownAccount, request: at("/api/v1/profile", { name: "again" }) },
  "PUT /api/v1/users/me/password": {
    refusal: inPerson,
    request: at("/api/v1/users/me/password", { currentPassword: CALLERS_PASSWORD, password: CALLERS_PASSWORD }),
  },
  "GET /api/v1/users/me/preferences": { refusal: ownAccount, request: at("/api/v1/users/me/preferences") },
  "PUT /api/v1/users/me/preferences": {
    refusal: ownAccount,
    request: at("/api/v1/users/me/preferences", { digest: true }),
  },
  "PUT /api/v1/users/me/push-tokens": {
    refusal: ownAccount,
    request: at("/api/v1/users/me/push-tokens", { fcm: null }),
  },
  "GET /api/v1/push/key": { refusal: ownAccount, request: at("/api/v1/push/key") },
  "POST /api/v1/push/acknowledge": {
    ...open("/api/v1/push/acknowledge"),
    request: at("/api/v1/push/acknowledge", { token: "none" }),
    served: [401, "TOKEN_INVALID"],
  },
  "GET /api/v1/users/me/push-subscriptions": { refusal: ownAccount, request: at(SUBSCRIPTIONS) },
  "POST /api/v1/users/me/push-subscriptions": {
    refusal: ownAccount,
    // An IP address needs no name resolution.
    request: at(SUBSCRIPTIONS, { endpoint: "https://1.1.1.1/send", keys: new TestBrowser().keys }),
  },
  "DELETE /api/v1/users/me/push-subscriptions/:id": {
    refusal: ownAccount,
    request: at(`${SUBSCRIPTIONS}/${NO_ID}`),
    served: NO_SUBSCRIPTION,
  },
  "POST /api/v1/users/me/push-subscriptions/:id/test": {
    refusal: ownAccount,
    request: at(`${SUBSCRIPTIONS}/${NO_ID}/test`),
    served: NO_SUBSCRIPTION,
  },

  "GET /api/v1/users/search": {
    refusal: scoped(FINDING, (who) => anyUser(who) ?? (FINDING.some((each) => holds(who, each)) ? null : NO_ROLE)),
    request: at("/api/v1/users/search?q=a"),
  },
  "GET /api/v1/users/me/tokens": { refusal: inPerson, request: at("/api/v1/users/me/tokens") },
  "POST /api/v1/users/me/tokens": {
    // For no more than one may do oneself.
    refusal: (who) => inPerson(who) ?? (holds(who, "events:write") ? null : NO_SCOPE),
    request: at("/api/v1/users/me/tokens", { name: "t", scopes: ["events:write"] }),
  },
  "DELETE /api/v1/users/me/tokens/:tokenId": [
    {
      refusal: inPerson,
      request: async ({ prism }, who, isServed) => ({
        path: tokenAt(isServed && who.kind === "user" ? (await makeServiceToken(prism, who.id)).id : NO_ID),
      }),
    },
    {
      // Another user's, even if an Admin asks.
      refusal: (who) => inPerson(who) ?? [404, "TOKEN_NOT_FOUND"],
      request: inWorld((world) => tokenAt(world.keepersToken)),
    },
  ],

  "GET /api/v1/users": { refusal: may("users:read"), request: at("/api/v1/users") },
  "GET /api/v1/users/pending": { refusal: may("users:approve"), request: at("/api/v1/users/pending") },
  "POST /api/v1/users": [
    {
      refusal: may("users:manage"),
      request: () => ({ path: "/api/v1/users", body: { username: newName(), roles: [] } }),
    },
    {
      // A caller cannot grant a permission it lacks: a token with only one permission gives no
      // role.
      refusal: (who) =>
        may("users:manage")(who) ?? (who.kind === "user" && who.scopes !== null ? [422, "PRIVILEGE_ESCALATION"] : null),
      request: () => ({ path: "/api/v1/users", body: { username: newName(), roles: ["User"] } }),
    },
  ],
  "POST /api/v1/users/import": {
    refusal: may("users:manage"),
    request: () => ({ path: "/api/v1/users/import", body: { users: [{ username: newName(), roles: [] }] } }),
  },
  "GET /api/v1/users/:id": [
    {
      refusal: scoped(["account:own", "users:read"]),
      request: (world, who) => ({ path: `/api/v1/users/${who.kind === "user" && who.id ? who.id : world.spare}` }),
    },
    {
      refusal: scoped(["account:own", "users:read"], ownersAnd("users:read", "USER_NOT_FOUND")),
      request: inWorld(spare),
    },
  ],
  "PATCH /api/v1/users/:id": { refusal: may("users:manage"), request: inWorld(spare, { name: "again" }) },
  "DELETE /api/v1/users/:id": { refusal: may("users:manage"), request: aboutOneWaiting("") },
  "GET /api/v1/users/me/identities": { refusal: inPerson, request: at(IDENTITIES) },
  "POST /api/v1/users/me/identities": {
    refusal: inPerson,
    request: at(IDENTITIES, { provider: "none" }),
    served: [404, "NOT_FOUND"],
  },
  "DELETE /api/v1/users/me/identities/:identityId": {
    refusal: inPerson,
    request: at(`${IDENTITIES}/${NO_ID}`),
    served: [404, "IDENTITY_NOT_FOUND"],
  },
  "GET /api/v1/users/:id/identities": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/identities`),
  },
  "POST /api/v1/users/:id/identities": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/identities`, { provider: "none", subject: "x" }),
    served: [404, "NOT_FOUND"],
  },
  "DELETE /api/v1/users/:id/identities/:identityId": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/identities/${NO_ID}`),
    served: [404, "IDENTITY_NOT_FOUND"],
  },
  "GET /api/v1/users/:id/sessions": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/sessions`),
  },
  "POST /api/v1/users/:id/sign-out": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/sign-out`),
  },
  "POST /api/v1/users/:id/unlock": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/unlock`),
  },
  "GET /api/v1/users/:id/tokens": {
    refusal: may("users:manage"),
    request: inWorld((world) => `${spare(world)}/tokens`),
  },
  "DELETE /api/v1/users/:id/tokens/:tokenId": {
    refusal: may("users:manage"),
    request: async (world, _who, isServed) => ({
      path: `${spare(world)}/tokens/${isServed ? (await makeServiceToken(world.prism, world.spare)).id : NO_ID}`,
    }),
  },
  "POST /api/v1/users/:id/approve": {
    refusal: may("users:approve"),
    request: aboutOneWaiting("/approve", { roles: ["Operator"] }),
  },
  "POST /api/v1/users/:id/reject": {
    refusal: may("users:approve"),
    request: aboutOneWaiting("/reject", { reason: "nobody knows them" }),
  },
};

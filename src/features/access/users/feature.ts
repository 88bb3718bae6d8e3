import { sql } from "kysely";
import * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { OWN_SCOPES } from "../../../core/permissions.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import { type Input, jsonOf, RawJson, Reply, type Route, route, withMember } from "../../../http/api/route.ts";
import { doc, named, object, pageEntries, pageOf } from "../../../http/api/shapes.ts";
import { holderOf, userOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { accountError } from "../authenticate/principals.ts";
import { requireMayManage } from "../authorize.ts";
import { keptAnswer } from "../read-caches.ts";
import { ACCOUNT_SWEEPS } from "../retention.ts";
import { requirePassword, setPassword } from "../sessions/login.ts";
import { factorSealContext } from "../sessions/second-factor.ts";
import { clientOf } from "../sessions/sessions.ts";
import { adminRoutes, importRoute, type UsersContext } from "./admin-routes.ts";
import { createServiceToken, namesOf, revokeServiceToken } from "./create-user.ts";
import { userFindings } from "./findings.ts";
import { findUser, ownDetails, UserView, userView } from "./queries.ts";
import { OwnBody, PasswordBody, TokenBody } from "./schema.ts";
import { ServiceToken, tokenList } from "./service-token.ts";
import { noteBrowserTimezone, updateUser } from "./user-lifecycle.ts";

type OwnChange = v.InferOutput<typeof OwnBody>;

/** Paths of earlier clients. */
const PROFILE_PATHS = ["/api/profile", "/api/v1/profile"];

function ownRoutes(context: UsersContext): Route[] {
  const { db, principals, pusherRegistry, reads } = context;
  const { accounts } = context;
  const tag = "Users";

  // Browsers in two zones that are open side by side must not write all the time.
  const zonesNoted = new TtlCache<string, true>({ maxEntries: 10_000, ttlMs: MINUTE_MS, clock: context.clock });
  const change = async (exchange: Exchange, { body }: Input<unknown, unknown, OwnChange>) => {
    const principal = userOf(exchange);
    const { currentPassword, browserTimezone, ...patch } = body;
    // A person who finds an open session must not be able to take the account over.
    if (patch.email !== undefined && (await differs(patch.email, principal.userId))) {
      if (currentPassword === undefined) {
        throw invalidField("body", "currentPassword", "is required to change the mail address", "REQUIRED");
      }
      await requirePassword(accounts, principal.userId, currentPassword, clientOf(exchange));
    }
    // As the person, whatever a service token carries: nothing here gives a right.
    await updateUser(accounts, principal.userId, patch, principals.ofUser(principal.userId));
    if (browserTimezone !== undefined) {
      const isTooSoon = zonesNoted.get(principal.userId) === true;
      const isNoted = await noteBrowserTimezone(accounts, principal.userId, browserTimezone, isTooSoon);
      if (isNoted) zonesNoted.set(principal.userId, true);
    }
    return view(await findUser(db.read, principal.userId));
  };
  const view = async (user: Awaited<ReturnType<typeof findUser>>) =>
    userView(user, await ownDetails(db.read, pusherRegistry, user.id));
  const profile = async (userId: string) => {
    // Live state is not cached: it changes without a row that is written.
    const { pusherChannels: _live, ...kept } = await view(await findUser(db.read, userId));
    return keptAnswer(userId, jsonOf(kept));
  };
  const differs = async (email: string, userId: string): Promise<boolean> =>
    namesOf({ email }).email !== (await findUser(db.read, userId)).email;
  const changing = {
    summary: "Update the caller's account",
    tag,
    access: { tokenScopes: ["account:own"] },
    body: OwnBody,
    response: UserView,
    errors: ["EMAIL_TAKEN", "PHONE_TAKEN", "INVALID_TIMEZONE", "INVALID_CREDENTIALS", "RATE_LIMITED"],
    handle: change,
  } as const;

  return [
    route({
      method: "GET",
      path: "/api/v1/users/me",
      aliases: PROFILE_PATHS,
      id: "getMe",
      summary: "Get the caller's account",
      tag,
      access: { tokenScopes: ["account:own"] },
      response: UserView,
      async handle(exchange) {
        const { userId, permissions, kind } = userOf(exchange);
        if (kind === "user") {
          const { json } = await reads.profiles.read(`profile:${userId}`, () => profile(userId));
          return new RawJson(withMember(json, "pusherChannels", jsonOf(pusherRegistry.channelsOf(userId))));
        }
        // Scopes of a service token.
        const user = await findUser(db.read, userId);
        const held = user.permissions.filter((permission) => permissions.has(permission));
        return view({ ...user, permissions: held });
      },
    }),
    route({ ...changing, id: "updateMe", method: "PUT", path: "/api/v1/users/me", aliases: PROFILE_PATHS }),
    route({ ...changing, id: "patchProfile", method: "PATCH", path: "/api/v1/profile", aliases: ["/api/profile"] }),
    route({
      method: "PUT",
      path: "/api/v1/users/me/password",
      id: "changePassword",
      summary: "Change the caller's password; other sessions end",
      tag,
      access: {},
      body: PasswordBody,
      status: 204,
      errors: ["INVALID_CREDENTIALS", "WEAK_PASSWORD", "RATE_LIMITED", "OVERLOADED"],
      async handle(exchange, { body }) {
        const { userId, sessionId } = userOf(exchange);
        await requirePassword(accounts, userId, body.currentPassword, clientOf(exchange));
        await setPassword(accounts, userId, body.password, { keepSession: sessionId });
      },
    }),
  ];
}

export const usersFeature = feature("users", {
  needs: ["accounts", "deletions", "principals", "reads", "pusherRegistry"],
  uses: ["contactRules"],
  effects: ({ reads }) => ({
    "answers-changed": ({ of, userId }) => (of === "tasks" ? reads.tasks : reads.profiles).changed(userId),
  }),
  findings: userFindings,
  configKinds: async (context) => [(await import("./config-kind.ts")).peopleKind(context)],
  sealedColumns: [
    sealedColumn("second_factors", "secret", factorSealContext, { id: "userId", where: sql`secret is not null` }),
  ],
  register: serve,
  sweeps: () => ACCOUNT_SWEEPS,
});

function serve(server: FeatureServer, context: UsersContext): void {
  const own = [...ownRoutes(context), ...tokenRoutes(context)];
  for (const each of [...own, ...adminRoutes(context), importRoute(context)]) server.route(each);
}

/**
 * Service tokens of one's own: for programs that act for a person, with no more than that person
 * may do. Only a login makes them.
 */
const IssuedToken = named(
  "IssuedServiceToken",
  "The new service token with its secret",
  v.object({ id: v.string(), token: v.string() }),
);

const Pages = object(pageEntries());

function tokenRoutes({ db, clock, audit }: UsersContext): Route[] {
  const tag = "Users";
  const managing = { tag, access: { permission: "users:manage" } } as const;
  const tokensOf = (userId: string, query: v.InferOutput<typeof Pages>) => {
    const visible = sql<boolean>`userId = ${userId} and revokedAt is null`;
    return tokenList.page(db, { visible, state: undefined }, query, () => (row) => ServiceToken.view(row));
  };
  const revoke = async (userId: string, id: string, mayRevoke?: (trx: Trx) => Promise<void>) => {
    await db.write(async (trx) => {
      const token = isUuid(id)
        ? await trx.selectFrom("service_tokens").select("userId").where("id", "=", id).executeTakeFirst()
        : undefined;
      if (token?.userId !== userId) throw new PrismError("TOKEN_NOT_FOUND", "No such service token");
      await mayRevoke?.(trx);
      await revokeServiceToken({ audit, clock }, id, trx);
    });
  };
  return [
    route({
      ...managing,
      method: "GET",
      path: "/api/v1/users/:id/tokens",
      id: "listServiceTokensOfUser",
      summary: "List the service tokens of any user",
      params: v.object({ id: doc(v.string(), "Id of the user") }),
      query: Pages,
      response: () => pageOf(ServiceToken.View),
      errors: ["INVALID_CURSOR", "USER_NOT_FOUND"],
      async handle(_exchange, { params: { id }, query }) {
        await findUser(db.read, id);
        return tokensOf(id, query);
      },
    }),
    route({
      ...managing,
      method: "DELETE",
      path: "/api/v1/users/:id/tokens/:tokenId",
      id: "revokeServiceTokenOfUser",
      summary: "Revoke a service token of any user; the next request with it is refused",
      params: v.object({ id: doc(v.string(), "Id of the user"), tokenId: doc(v.string(), "Id of the service token") }),
      status: 204,
      errors: ["TOKEN_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      handle: (exchange, { params: { id, tokenId } }) =>
        revoke(id, tokenId, (trx) => requireMayManage(id, holderOf(exchange), trx)),
    }),
    route({
      method: "GET",
      path: "/api/v1/users/me/tokens",
      id: "listServiceTokens",
      summary: "List the caller's service tokens",
      tag,
      access: {},
      query: Pages,
      response: () => pageOf(ServiceToken.View),
      errors: ["INVALID_CURSOR"],
      handle: (exchange, { query }) => tokensOf(userOf(exchange).userId, query),
    }),
    route({
      method: "POST",
      path: "/api/v1/users/me/tokens",
      id: "createServiceToken",
      summary: "Create a service token; its secret is returned only once",
      tag,
      access: {},
      body: TokenBody,
      status: 201,
      response: IssuedToken,
      errors: ["SCOPE_MISSING"],
      async handle(exchange, { body: { name, scopes, expiresInMs } }) {
        const { userId, permissions } = userOf(exchange);
        const held = new Set<string>([...permissions, ...OWN_SCOPES]);
        const lacking = scopes.find((scope) => !held.has(scope));
        if (lacking !== undefined) throw new PrismError("SCOPE_MISSING", `You lack ${lacking} yourself`);
        const expiresAt = expiresInMs === undefined ? undefined : clock.now() + expiresInMs;
        const wanted = { userId, name, scopes: [...new Set(scopes)], expiresAt };
        const made = await db.write(async (trx) => {
          // The account may be closed by now: what is revoked with it must be all there is.
          const { status } = await findUser(trx, userId);
          if (status !== "active") throw accountError(status);
          return createServiceToken({ audit, clock }, wanted, trx);
        });
        return new Reply(201, made);
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/users/me/tokens/:tokenId",
      id: "revokeServiceToken",
      summary: "Revoke a service token; the next request with it is refused",
      tag,
      access: {},
      params: v.object({ tokenId: doc(v.string(), "Id of the service token") }),
      status: 204,
      errors: ["TOKEN_NOT_FOUND"],
      handle: (exchange, { params: { tokenId } }) => revoke(userOf(exchange).userId, tokenId),
    }),
  ];
}

import type * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { userOf } from "../../../http/access.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { type Input, RawJson, Reply, type Route, route } from "../../../http/route.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
import { clientOf } from "../authenticate/caller.ts";
import { granterOf } from "../authorize.ts";
import { type KeptAnswer, keptAnswer } from "../read-caches.ts";
import { changePassword, requirePassword } from "../sessions/login.ts";
import type { UsersContext, UsersOwn } from "./admin-routes.ts";
import { adminRoutes, importRoute } from "./admin-routes.ts";
import { namesOf } from "./create-user.ts";
import { findUser, ownDetails, UserView, userView } from "./queries.ts";
import { OwnBody, PasswordBody } from "./schema.ts";
import { tokenRoutes } from "./token-routes.ts";
import { updateUser } from "./user-lifecycle.ts";

type OwnChange = v.InferOutput<typeof OwnBody>;

/** What everybody does with the account that is theirs (contract 4.5). */
function ownRoutes(context: UsersContext): Route[] {
  const { db, principals, pusherRegistry, reads } = context;
  const { accounts } = context;
  const tag = "Users";

  const change = async (exchange: Exchange, { body }: Input<unknown, unknown, OwnChange>) => {
    const principal = userOf(exchange);
    const { currentPassword, ...patch } = body;
    // Whoever finds a session open must not be able to take the account over.
    if (patch.email !== undefined && (await isOther(patch.email, principal.userId))) {
      if (currentPassword === undefined) {
        throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
          details: [{ path: "currentPassword", code: "REQUIRED", message: "is required to change the mail address" }],
        });
      }
      await requirePassword(accounts, principal.userId, currentPassword, clientOf(exchange));
    }
    // As the person, whatever a service token carries: nothing here gives a right.
    await updateUser(accounts, principal.userId, patch, granterOf(principals.ofUser(principal.userId)));
    return view(await findUser(db.read, principal.userId));
  };
  const view = async (user: Awaited<ReturnType<typeof findUser>>) =>
    userView(user, await ownDetails(db.read, pusherRegistry, user.id));
  const profile = async (userId: string): Promise<KeptAnswer> => {
    // What is live is not kept: it changes without a row that is written.
    const { pusherChannels: _live, ...kept } = await view(await findUser(db.read, userId));
    return keptAnswer(userId, JSON.stringify(kept));
  };
  const isOther = async (email: string, userId: string): Promise<boolean> =>
    namesOf({ email }).email !== (await findUser(db.read, userId)).email;
  const changing = {
    summary: "Change the caller's own account",
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
      aliases: ["/api/profile", "/api/v1/profile"],
      summary: "The caller's own account",
      tag,
      access: { tokenScopes: ["account:own"] },
      response: UserView,
      async handle(exchange) {
        const { userId, permissions, kind } = userOf(exchange);
        if (kind === "user") {
          const { json } = await reads.profiles.read(`profile:${userId}`, () => profile(userId));
          const channels = JSON.stringify(pusherRegistry.channelsOf(userId));
          return new Reply(200, new RawJson(`${json.slice(0, -1)},"pusherChannels":${channels}}`));
        }
        // Of a service token, what it may do.
        const user = await findUser(db.read, userId);
        const held = user.permissions.filter((permission) => permissions.has(permission));
        return view({ ...user, permissions: held });
      },
    }),
    route({ ...changing, method: "PUT", path: "/api/v1/users/me", aliases: ["/api/profile", "/api/v1/profile"] }),
    route({ ...changing, method: "PATCH", path: "/api/v1/profile", aliases: ["/api/profile"] }),
    route({
      method: "PUT",
      path: "/api/v1/users/me/password",
      summary: "Choose a new password; the caller's other sessions end",
      tag,
      access: {},
      body: PasswordBody,
      status: 204,
      errors: ["INVALID_CREDENTIALS", "WEAK_PASSWORD", "RATE_LIMITED", "OVERLOADED"],
      async handle(exchange, { body }) {
        const principal = userOf(exchange);
        await changePassword(accounts, principal, body.currentPassword, body.password, clientOf(exchange));
        return new Reply(204);
      },
    }),
  ];
}

/** Accounts: one's own, and for administrators everybody's (contract 4.5). */
export function usersFeature(own: UsersOwn): Feature {
  return { name: "users", version: "1.0.0", register: (server, { audit }) => serve(server, { ...own, audit }) };
}

function serve(server: FeatureServer, context: UsersContext): void {
  const own = [...ownRoutes(context), ...tokenRoutes(context)];
  for (const each of [...own, ...adminRoutes(context), importRoute(context)]) server.route(each);
}

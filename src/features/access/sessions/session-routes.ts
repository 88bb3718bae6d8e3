import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { hasTokenScope } from "../../../http/access.ts";
import { type Route, route } from "../../../http/route.ts";
import { userOf } from "../caller-of.ts";
import type { AuthContext } from "./context.ts";
import { SessionView } from "./schema.ts";

/** Where the caller is logged in (contract 4.4). */
export function sessionRoutes({ db, accounts, sessions }: AuthContext): Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/auth/sessions",
      summary: "The caller's logins that have not ended",
      tag: "Authentication",
      access: { tokenScopes: ["account:own"] },
      response: v.object({ data: v.array(SessionView) }),
      async handle(exchange) {
        const { userId, sessionId } = userOf(exchange);
        const found = await sessions.listOf(userId, db.read);
        return {
          data: found.map((session) => ({
            id: session.id,
            ip: session.ip,
            userAgent: session.userAgent,
            createdAt: toRfc3339(session.createdAt),
            lastUsedAt: toRfc3339(session.lastUsedAt),
            current: session.id === sessionId,
          })),
        };
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/auth/sessions/:id",
      summary: "End a login: one of the caller's own, or with users:manage anybody's",
      tag: "Authentication",
      access: { tokenScopes: ["account:own", "users:manage"] },
      params: v.object({ id: v.string() }),
      status: 204,
      errors: ["SESSION_NOT_FOUND"],
      async handle(exchange, { params }) {
        const principal = userOf(exchange);
        const owner = isUuid(params.id) ? await sessions.ownerOf(params.id, db.read) : undefined;
        const isAllowed =
          (owner === principal.userId && hasTokenScope(principal, ["account:own"])) ||
          principal.permissions.has("users:manage");
        const isEnded =
          owner !== undefined && isAllowed && (await accounts.endSession({ id: params.id, userId: owner }, "revoked"));
        if (!isEnded) throw new PrismError("SESSION_NOT_FOUND", "No such session");
      },
    }),
  ];
}

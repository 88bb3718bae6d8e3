import * as v from "valibot";
import { toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { hasTokenScope, userOf } from "../../../http/access.ts";
import { type Route, route } from "../../../http/route.ts";
import type { Feature, FeatureServer } from "../../../module/feature.ts";
import { clientOf } from "../authenticate/caller.ts";
import { forgotPassword, resendVerification, resetPassword, verifyEmail } from "./account-links.ts";
import { devTokenRoute } from "./dev-token.ts";
import type { AuthContext, AuthOwn } from "./guards.ts";
import { AuthLimits } from "./guards.ts";
import { endSession } from "./login.ts";
import { loginRoutes } from "./login-routes.ts";
import { EmailBody, LinkBody, ResetBody, SessionView, UserStatusView } from "./schema.ts";
import { listSessions, sessionOwner } from "./sessions.ts";

/** Where the caller is logged in (contract 4.4). */
function sessionRoutes({ db, accounts }: AuthContext): Route[] {
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
        const found = await listSessions(accounts, userId, db.read);
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
        const owner = isUuid(params.id) ? await sessionOwner(params.id, db.read) : undefined;
        const isAllowed =
          (owner === principal.userId && hasTokenScope(principal, ["account:own"])) ||
          principal.permissions.has("users:manage");
        const isEnded =
          owner !== undefined && isAllowed && (await endSession(accounts, { id: params.id, userId: owner }, "revoked"));
        if (!isEnded) throw new PrismError("SESSION_NOT_FOUND", "No such session");
      },
    }),
  ];
}

/** What the links in mails lead to, and asking for such mails (contract 4.4). */
function linkRoutes({ accounts }: AuthContext, limits: AuthLimits): Route[] {
  const tag = "Authentication";

  /** Answered alike and at once whether or not there is such an account. */
  const mailRoute = (path: string, summary: string, send: (email: string) => void): Route =>
    route({
      method: "POST",
      path,
      summary,
      tag,
      access: "public",
      attempts: "address",
      body: EmailBody,
      status: 202,
      response: v.object({}),
      handle(exchange, { body }) {
        limits.take(exchange, "mail");
        send(body.email);
        return {};
      },
    });

  return [
    route({
      method: "POST",
      path: "/api/v1/auth/verify-email",
      summary: "Confirm a mail address with the token of the link that was sent there",
      tag,
      access: "public",
      body: LinkBody,
      response: v.object({ status: UserStatusView }),
      errors: ["LINK_EXPIRED"],
      async handle(_exchange, { body }) {
        return { status: await verifyEmail(accounts, body.token) };
      },
    }),
    mailRoute(
      "/api/v1/auth/resend-verification",
      "Ask for another link to confirm a mail address; the answer is the same whether or not an account waits for one",
      (email) => resendVerification(accounts, email),
    ),
    mailRoute(
      "/api/v1/auth/forgot-password",
      "Ask for a link to choose a new password; the answer is the same whether or not there is an account",
      (email) => forgotPassword(accounts, email),
    ),
    route({
      method: "POST",
      path: "/api/v1/auth/reset-password",
      summary: "Choose a new password with the token of the link that was sent; all sessions of the account end",
      tag,
      access: "public",
      body: ResetBody,
      status: 204,
      errors: ["LINK_EXPIRED", "WEAK_PASSWORD", "OVERLOADED"],
      async handle(exchange, { body }) {
        await resetPassword(accounts, body.token, body.password, clientOf(exchange));
      },
    }),
  ];
}

/** How people show who they are (contract 4.4). */
export function authFeature(own: AuthOwn): Feature {
  return {
    name: "auth",
    version: "1.0.0",
    register: (server, { audit, log }) => serve(server, { ...own, audit, log }),
  };
}

function serve(server: FeatureServer, context: AuthContext): void {
  const limits = new AuthLimits(context);
  const routes = [...loginRoutes(context, limits), ...linkRoutes(context, limits), ...sessionRoutes(context)];
  for (const each of routes) server.route(each);
  // Elsewhere there is no such route, for any method.
  if (context.config.env === "development") server.route(devTokenRoute(context));
}

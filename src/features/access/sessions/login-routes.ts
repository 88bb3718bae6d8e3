import * as v from "valibot";
import { isHttps } from "../../../config/public-url.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { Reply, type Route, route } from "../../../http/route.ts";
import { clientOf } from "../accounts/client-of.ts";
import { loginNameOf } from "../accounts/login-name.ts";
import { findUser, UserView, userView } from "../accounts/user-view.ts";
import type { AuthLimits } from "./auth-limits.ts";
import type { AuthContext } from "./context.ts";
import { loginReply } from "./login-reply.ts";
import { requireOwnOrigin } from "./origin-check.ts";
import { RefreshCookie } from "./refresh-cookie.ts";
import { LoginBody, LogoutBody, loginEntries, RefreshBody, RegisterBody, UserStatusView } from "./schema.ts";

const LoginView = v.object({ ...loginEntries, user: UserView });

/** Registering, logging in and out (contract 4.4). */
export function loginRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  const { accounts, allowsOrigin, db, config } = context;
  const cookie = new RefreshCookie(isHttps(config));
  return [
    route({
      method: "POST",
      path: "/api/v1/auth/register",
      aliases: ["/auth/register", "/api/auth/register"],
      summary: "Make an account of one's own; whether it is active at once is the server's policy",
      tag: "Authentication",
      access: "public",
      attempts: "address",
      body: RegisterBody,
      status: 201,
      response: v.object({ ...v.partial(v.object(loginEntries)).entries, user: UserView, status: UserStatusView }),
      errors: [
        "REGISTRATION_CLOSED",
        "INVALID_TIMEZONE",
        "EMAIL_TAKEN",
        "USERNAME_TAKEN",
        "PHONE_TAKEN",
        "WEAK_PASSWORD",
        "FORBIDDEN",
        "LINK_EXPIRED",
        "OVERLOADED",
      ],
      async handle(exchange, { body }) {
        limits.take(exchange, "login");
        const { userId, status, login } = await accounts.register(body, clientOf(exchange));
        if (login) return loginReply(context, cookie, login, { status: 201, extra: { status } });
        return new Reply(201, { user: userView(await findUser(db.read, userId)), status });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/login",
      aliases: ["/auth/login", "/api/auth/login"],
      summary: "Log in with a password",
      tag: "Authentication",
      access: "public",
      attempts: "name",
      body: LoginBody,
      response: LoginView,
      errors: ["INVALID_CREDENTIALS", "ACCOUNT_PENDING", "ACCOUNT_DISABLED", "ACCOUNT_UNVERIFIED", "OVERLOADED"],
      async handle(exchange, { body }) {
        const { password, tokenDelivery, device, rememberMe = true, ...names } = body;
        const client = clientOf(exchange, device);
        const isKnown = await accounts.isKnown(names, client);
        const succeeded = limits.takeLogin(exchange, loginNameOf(names).key, isKnown);
        const login = await accounts.login(names, password, client);
        succeeded();
        return loginReply(context, cookie, login, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/refresh",
      aliases: ["/auth/refresh", "/api/auth/refresh"],
      summary: "Take a refresh token, from the cookie or the body, and give new tokens; each is good once",
      tag: "Authentication",
      access: "public",
      body: RefreshBody,
      response: LoginView,
      errors: [
        "UNAUTHENTICATED",
        "TOKEN_EXPIRED",
        "REFRESH_REUSED",
        "SESSION_REVOKED",
        "ORIGIN_REFUSED",
        "ACCOUNT_PENDING",
        "ACCOUNT_DISABLED",
        "ACCOUNT_UNVERIFIED",
      ],
      async handle(exchange, { body }) {
        const fromCookie = body.refreshToken === undefined ? cookie.read(exchange) : undefined;
        if (fromCookie !== undefined) requireOwnOrigin(exchange, allowsOrigin);
        const token = body.refreshToken ?? fromCookie;
        if (token === undefined) throw new PrismError("UNAUTHENTICATED", "Send a refresh token");
        const login = await accounts.refresh(token, clientOf(exchange));
        const delivery = body.tokenDelivery ?? (fromCookie === undefined ? "body" : "cookie");
        // The cookie's token is used up; sent again it would end the session.
        const isCookieSpent = delivery === "body" && fromCookie !== undefined;
        const endsWithBrowser = cookie.endsWithBrowser(exchange);
        return loginReply(context, cookie, login, { delivery, isCookieSpent, endsWithBrowser });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/logout",
      aliases: ["/auth/logout", "/api/auth/logout"],
      summary:
        "End the session of the access token or of the cookie, or all sessions; its tokens and sockets end at once",
      tag: "Authentication",
      access: "public",
      body: LogoutBody,
      status: 204,
      errors: ["ORIGIN_REFUSED"],
      async handle(exchange, { body }) {
        const session = await logoutSession(context, exchange, cookie, body.refreshToken);
        if (session) await accounts.logout(session, body.all === true);
        return new Reply(204, undefined, { "Set-Cookie": cookie.clear() });
      },
    }),
  ];
}

/** The session that a request to log out means; null when there is none any more, which is what was wanted. @throws ORIGIN_REFUSED */
async function logoutSession(
  { db, kernel, sessions, allowsOrigin }: AuthContext,
  exchange: Exchange,
  cookie: RefreshCookie,
  given: string | undefined,
): Promise<{ readonly id: string | null; readonly userId: string } | null> {
  const bearer = await sessionOfBearer(kernel, exchange);
  if (bearer) return bearer;
  // An access token that has expired does not say that the login is over: the refresh token beside it would live on.
  const fromCookie = given === undefined ? cookie.read(exchange) : undefined;
  if (fromCookie !== undefined) requireOwnOrigin(exchange, allowsOrigin);
  const token = given ?? fromCookie;
  return token === undefined ? null : ((await sessions.ofRefreshToken(token, db.read)) ?? null);
}

async function sessionOfBearer(kernel: AuthContext["kernel"], exchange: Exchange) {
  if (exchange.header("authorization") === "") return null;
  try {
    const principal = await kernel.authenticate(exchange);
    return principal.kind === "user" ? { id: principal.sessionId, userId: principal.userId } : null;
  } catch (error) {
    if (error instanceof PrismError) return null;
    throw error;
  }
}

import * as v from "valibot";
import { type ErrorCode, PrismError } from "../../../core/errors.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { Reply, type Route, route } from "../../../http/api/route.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import { hasTokenScope, userOf } from "../../../http/server/access.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { passkeyRoutes } from "../passkeys/routes.ts";
import { loginNameOf } from "../users/create-user.ts";
import { findUser, UserView, userView } from "../users/queries.ts";
import { forgotPassword, resendVerification, resetPassword, verifyEmail } from "./account-links.ts";
import { devTokenRoute } from "./dev-token.ts";
import { type AuthContext, AuthLimits, RefreshCookie, requireOwnOrigin } from "./guards.ts";
import { requireLocalLogin } from "./local-login.ts";
import {
  checkPassword,
  endSession,
  isKnownClient,
  loginOf,
  logout,
  type PasswordOwner,
  passwordOwner,
  register,
} from "./login.ts";
import {
  EmailBody,
  LoginBody,
  LogoutBody,
  loginEntries,
  RefreshBody,
  RegisterBody,
  ResetBody,
  SessionView,
  UserStatusView,
  VerifyBody,
} from "./schema.ts";
import { clientOf, listSessions, rotateSession, sessionOfRefreshToken } from "./sessions.ts";
import {
  LoginView,
  loginReply,
  loginReplyWith,
  requireComplete,
  secondFactorRoutes,
  signInRoutes,
} from "./sign-in-routes.ts";

const open = { tag: "Authentication", access: "public" } as const;

const RegisterView = named(
  "Registration",
  "The account, with an access token when it is active",
  v.object({ ...v.partial(v.object(loginEntries)).entries, user: UserView, status: UserStatusView }),
);

/** Registering, logging in and out. */
function loginRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  const { accounts, allowsOrigin, db, settings } = context;
  const cookie = new RefreshCookie(settings);
  return [
    route({
      method: "POST",
      path: "/api/v1/auth/register",
      aliases: ["/auth/register", "/api/auth/register"],
      id: "register",
      summary: "Register an account; the server's policy decides whether it is active at once",
      ...open,
      attempts: "address",
      body: RegisterBody,
      status: 201,
      response: RegisterView,
      errors: [
        "REGISTRATION_CLOSED",
        "LOCAL_LOGIN_OFF",
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
        const { userId, status, login } = await register(accounts, body, clientOf(exchange));
        if (login) return loginReplyWith(context, cookie, login, { status: 201 }, { status });
        return new Reply(201, { user: userView(await findUser(db.read, userId)), status });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/login",
      aliases: ["/auth/login", "/api/auth/login"],
      id: "login",
      summary: "Log in with a password",
      ...open,
      signsIn: true,
      attempts: "name",
      body: LoginBody,
      response: LoginView,
      errors: [
        "INVALID_CREDENTIALS",
        "LOCAL_LOGIN_OFF",
        "SECOND_FACTOR_REQUIRED",
        "ACCOUNT_PENDING",
        "ACCOUNT_DISABLED",
        "ACCOUNT_UNVERIFIED",
        "OVERLOADED",
      ],
      async handle(exchange, { body }) {
        const { password, tokenDelivery, device, rememberMe = true, ...names } = body;
        const client = clientOf(exchange, device);
        const isKnown = await isKnownClient(accounts, names, client);
        const succeeded = limits.takeLogin(exchange, loginNameOf(names).key, isKnown);
        const opened = await checkPassword(accounts, names, password, client);
        succeeded();
        const login = requireComplete(opened);
        return loginReply(context, cookie, login, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/refresh",
      aliases: ["/auth/refresh", "/api/auth/refresh"],
      id: "refreshTokens",
      summary: "Exchange a refresh token, from the cookie or the body, for new tokens",
      ...open,
      signsIn: true,
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
        await context.oidc.beforeRefresh(token);
        const login = await loginOf(accounts, await rotateSession(accounts, token, clientOf(exchange)));
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
      id: "logout",
      summary: "End the current session, or all sessions, with their tokens and sockets",
      ...open,
      body: LogoutBody,
      status: 204,
      errors: ["ORIGIN_REFUSED"],
      async handle(exchange, { body }) {
        const session = await logoutSession(context, exchange, cookie, body.refreshToken);
        if (session) await logout(accounts, session, body.all === true);
        return new Reply(204, undefined, { "Set-Cookie": cookie.clear() });
      },
    }),
  ];
}

/**
 * The session that a request to log out means; null when there is none any more, which is what was
 * wanted. @throws ORIGIN_REFUSED
 */
async function logoutSession(
  { accounts, db, kernel, allowsOrigin }: AuthContext,
  exchange: Exchange,
  cookie: RefreshCookie,
  given: string | undefined,
): Promise<{ readonly id: string | null; readonly userId: string } | null> {
  const bearer = await sessionOfBearer(kernel, exchange);
  if (bearer) return bearer;
  // An access token that has expired does not say that the login is over: the refresh token beside
  // it would live on.
  const fromCookie = given === undefined ? cookie.read(exchange) : undefined;
  if (fromCookie !== undefined) requireOwnOrigin(exchange, allowsOrigin);
  const token = given ?? fromCookie;
  return token === undefined ? null : ((await sessionOfRefreshToken(accounts, token, db.read)) ?? null);
}

async function sessionOfBearer(kernel: AuthContext["kernel"], exchange: Exchange) {
  if (exchange.header("authorization") === "") return null;
  try {
    await kernel.check(exchange);
    const principal = kernel.authenticate(exchange);
    return principal.kind === "user" ? { id: principal.sessionId, userId: principal.userId } : null;
  } catch (error) {
    if (error instanceof PrismError) return null;
    throw error;
  }
}

function sessionRoutes({ db, accounts }: AuthContext): Route[] {
  const sessionsOf = async (userId: string, current: string | null) => {
    const found = await listSessions(accounts, userId, db.read);
    return {
      data: found.map(({ id, ip, userAgent, createdAt, lastUsedAt, repeatedAt, via }) => ({
        id,
        ip,
        userAgent,
        via,
        createdAt: toRfc3339(createdAt),
        lastUsedAt: toRfc3339(lastUsedAt),
        repeatedAt: toRfc3339OrNull(repeatedAt),
        current: id === current,
      })),
    };
  };
  return [
    route({
      method: "GET",
      path: "/api/v1/auth/sessions",
      id: "listSessions",
      summary: "List the caller's active sessions",
      returns: "The active sessions",
      tag: "Authentication",
      access: { tokenScopes: ["account:own"] },
      response: v.object({ data: v.array(SessionView) }),
      async handle(exchange) {
        const { userId, sessionId } = userOf(exchange);
        return sessionsOf(userId, sessionId);
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/users/:id/sessions",
      id: "listSessionsOfUser",
      summary: "List the active sessions of any user; `DELETE /api/v1/auth/sessions/{id}` ends one",
      returns: "The active sessions",
      tag: "Users",
      access: { permission: "users:manage" },
      params: v.object({ id: doc(v.string(), "Id of the user") }),
      response: v.object({ data: v.array(SessionView) }),
      errors: ["USER_NOT_FOUND"],
      async handle(exchange, { params: { id } }) {
        await findUser(db.read, id);
        const { principal } = exchange;
        return sessionsOf(id, principal?.kind === "user" ? principal.sessionId : null);
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/auth/sessions/:id",
      id: "deleteSession",
      summary: "End a session of the caller, or with users:manage of any user",
      tag: "Authentication",
      access: { tokenScopes: ["account:own", "users:manage"] },
      params: v.object({ id: doc(v.string(), "Id of the session") }),
      status: 204,
      errors: ["SESSION_NOT_FOUND"],
      async handle(exchange, { params }) {
        const principal = userOf(exchange);
        // Ended or not.
        const session = db.read.selectFrom("sessions").select("userId").where("id", "=", params.id);
        const owner = (await session.executeTakeFirst())?.userId;
        const isAllowed =
          (owner === principal.userId && hasTokenScope(principal, ["account:own"])) ||
          principal.permissions.has("users:manage");
        const isEnded =
          owner !== undefined && isAllowed && (await endSession(accounts, { id: params.id, userId: owner }));
        if (!isEnded) throw new PrismError("SESSION_NOT_FOUND", "No such session");
      },
    }),
  ];
}

/** Routes for the links in mails, and for requesting such mails. */
function linkRoutes({ accounts, kernel }: AuthContext, limits: AuthLimits): Route[] {
  const callerOf = async (exchange: Exchange) => (await sessionOfBearer(kernel, exchange))?.userId ?? null;

  /** The answer and its time are the same whether or not the account exists. */
  const mailRoute = (
    id: string,
    path: string,
    summary: string,
    send: (email: string, callerId: string | null) => void | Promise<void>,
    errors: readonly ErrorCode[] = [],
  ): Route =>
    route({
      method: "POST",
      path,
      id,
      summary,
      returns: "Accepted, whether or not the account exists",
      ...open,
      attempts: "address",
      body: EmailBody,
      status: 202,
      response: v.object({}),
      errors,
      async handle(exchange, { body }) {
        limits.take(exchange, "mail");
        await send(body.email, await callerOf(exchange));
        return {};
      },
    });

  return [
    route({
      method: "POST",
      path: "/api/v1/auth/verify-email",
      id: "verifyEmail",
      summary: "Confirm an email address with the token of the mailed link; for an active account in its session",
      returns: "The status of the account",
      ...open,
      attempts: "address",
      body: VerifyBody,
      response: v.object({ status: UserStatusView }),
      errors: ["LINK_EXPIRED", "FORBIDDEN", "INVALID_CREDENTIALS", "OVERLOADED"],
      async handle(exchange, { body }) {
        return { status: await verifyEmail(accounts, body, await callerOf(exchange), clientOf(exchange)) };
      },
    }),
    mailRoute(
      "resendVerification",
      "/api/v1/auth/resend-verification",
      "Send the confirmation link again; the answer does not reveal whether the account exists",
      (email, callerId) => resendVerification(accounts, email, callerId),
    ),
    mailRoute(
      "forgotPassword",
      "/api/v1/auth/forgot-password",
      "Send a link to reset the password; the answer does not reveal whether the account exists",
      async (email) => {
        // Under `admins` the link of others says it: the answer does not tell who is one.
        await requireLocalLogin(accounts, accounts.db.read);
        forgotPassword(accounts, email);
      },
      ["LOCAL_LOGIN_OFF"],
    ),
    route({
      method: "POST",
      path: "/api/v1/auth/reset-password",
      id: "resetPassword",
      summary: "Set a new password with the token of the mailed link; all sessions of the account end",
      ...open,
      body: ResetBody,
      status: 204,
      errors: ["LINK_EXPIRED", "LOCAL_LOGIN_OFF", "WEAK_PASSWORD", "OVERLOADED"],
      async handle(exchange, { body }) {
        await resetPassword(accounts, body.token, body.password, clientOf(exchange));
      },
    }),
  ];
}

declare module "../../../module/feature.ts" {
  interface Offers {
    /** Whose name and password they are. @throws INVALID_CREDENTIALS, RATE_LIMITED */
    readonly passwordOwner: (login: string, password: string, ip: string) => Promise<PasswordOwner>;
  }
}

/** How people show who they are. */
export const authFeature = feature("auth", {
  needs: ["accounts", "users", "devUserId", "pusherRegistry", "oidc"],
  open: ({ accounts }) => ({
    passwordOwner: passwordOwner.bind(null, accounts),
  }),
  register: serve,
});

function serve(server: FeatureServer, context: AuthContext): void {
  const limits = new AuthLimits(context);
  const routes = [
    ...loginRoutes(context, limits),
    ...signInRoutes(context, limits),
    ...secondFactorRoutes(context),
    ...passkeyRoutes(context, limits),
    ...linkRoutes(context, limits),
    ...sessionRoutes(context),
  ];
  for (const each of routes) server.route(each);
  // Elsewhere there is no such route, for any method.
  if (context.config.env === "development") server.route(devTokenRoute(context));
}

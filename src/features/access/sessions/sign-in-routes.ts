import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { VERSION } from "../../../core/runtime.ts";
import { Reply, type Route, route, undescribed } from "../../../http/api/route.ts";
import { doc, named, object } from "../../../http/api/shapes.ts";
import { holderOf, userOf } from "../../../http/server/access.ts";
import { mayKnowServer } from "../../../http/server/credentials.ts";
import { hasAdmin } from "../first-start.ts";
import { offersSignIn } from "../passkeys/manage.ts";
import { findUser, ownDetails, UserView, userView } from "../users/queries.ts";
import {
  confirmSecondFactor,
  removeSecondFactor,
  renewRecoveryCodes,
  resetSecondFactor,
  startSecondFactor,
} from "./enrol-second-factor.ts";
import { type AuthContext, type AuthLimits, RefreshCookie } from "./guards.ts";
import { localLogin, providersOf } from "./local-login.ts";
import type { FirstStep, Login } from "./login.ts";
import { LINK_LIFE_MS } from "./mail-links.ts";
import { FirstCodeBody, FullProof, loginEntries, OwnerProof, SecondStepBody, SignInLinkBody } from "./schema.ts";
import { factorKey } from "./second-factor.ts";
import { clientOf } from "./sessions.ts";
import { challengedUser, proveSecondFactor, signInByLink } from "./sign-in.ts";

/**
 * How the refresh token goes to the client: in a cookie that pages cannot read, or, for clients
 * without cookies, in the body.
 */
type TokenDelivery = "cookie" | "body";

/**
 * @returns the login of a first step. @throws SECOND_FACTOR_REQUIRED with the challenge of the second
 * step, which is all it reveals
 */
export function requireComplete(opened: FirstStep): Login {
  if (!("challenge" in opened)) return opened;
  const message = "The account has a second factor: send its proof with the challenge";
  const expiresInMs = LINK_LIFE_MS.second_factor;
  throw new PrismError("SECOND_FACTOR_REQUIRED", message, {
    details: [{ path: "", code: "SECOND_FACTOR_REQUIRED", message, ...opened, expiresInMs }],
  });
}

interface Handing {
  readonly delivery?: TokenDelivery | undefined;
  readonly isCookieSpent?: boolean;
  readonly endsWithBrowser?: boolean;
  readonly status?: number;
}

/** The answer to everything that logs in. */
export function loginReply(context: AuthContext, cookie: RefreshCookie, login: Login, handing: Handing) {
  return loginReplyWith(context, cookie, login, handing, {});
}

/** @param extra further members of the answer */
export async function loginReplyWith<E extends object>(
  { db, clock, pusherRegistry, hub }: AuthContext,
  cookie: RefreshCookie,
  login: Login,
  { delivery = "cookie", isCookieSpent = false, endsWithBrowser = false, status = 200 }: Handing,
  extra: E,
) {
  const { accessToken, accessExpiresAt, session, userId } = login;
  // Read first: later entries may be missing in what the caller reads with the token.
  const offsets = { projects: hub.headOf("events"), others: hub.headOf("log") };
  const now = clock.now();
  const user = await findUser(db.read, userId);
  const body = {
    token: accessToken,
    accessToken,
    tokenType: "Bearer" as const,
    expiresIn: Math.max(0, Math.round((accessExpiresAt - now) / 1000)),
    user: userView(user, await ownDetails(db.read, pusherRegistry, userId)),
    offsets,
    ...(delivery === "body" ? { refreshToken: session.refreshToken } : {}),
    ...extra,
  };
  const headers: Record<string, string> = {};
  if (delivery === "cookie")
    headers["Set-Cookie"] = cookie.set(session.refreshToken, session.expiresAt - now, endsWithBrowser);
  else if (isCookieSpent) headers["Set-Cookie"] = cookie.clear();
  return new Reply(status, body, headers);
}

export const LoginView = named(
  "LoginTokens",
  "The access token and the account",
  v.object({ ...loginEntries, user: UserView }),
);

const open = { tag: "Authentication", access: "public" } as const;

const SetupView = named(
  "Setup",
  "What a sign-in page needs to know",
  v.object({
    needsAdmin: doc(v.boolean(), "True until an account holds Admin; register with the setup token"),
    registration: doc(v.picklist(["approval", "open", "closed"]), "What becomes of a registration"),
    localLogin: doc(
      v.picklist(["on", "admins", "off"]),
      "Whose passwords sign in: everyone's, administrators' or no one's",
    ),
    passwordMin: doc(v.number(), "Shortest password, in characters"),
    mailConfigured: doc(v.boolean(), "Whether mails can be sent, such as links to reset a password"),
    providers: doc(
      v.array(v.object({ name: v.string(), label: v.string(), url: doc(v.string(), "Path that leads there") })),
      "OpenID providers that sign people in, and the proxy of `auth.proxyHeader`",
    ),
    autoRedirect: doc(v.nullable(v.string()), "The path that a sign-in page opens by itself; null: none"),
    passkeys: doc(v.boolean(), "Whether a passkey can sign in without a password"),
    development: doc(
      v.optional(v.boolean()),
      "Whether the server runs in development mode, with the administrator `dev`; only for signed-in callers and programs on this machine",
    ),
    version: doc(v.optional(v.string()), "Version of the server, for the same callers"),
  }),
);

/** Signing in without a password, and what a sign-in page must know. */
export function signInRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  const { accounts, settings, db } = context;
  const cookie = new RefreshCookie(settings);
  const isDevelopment = settings.current.env === "development";
  const byProxy = route({
    ...open,
    ...{ method: "GET", path: "/auth/proxy", summary: "Sign in the person whom the proxy of `auth.proxyHeader` names" },
    ...{
      undocumented: true,
      response: undescribed,
      attempts: "address",
      query: object({ returnTo: v.optional(v.string()) }),
    },
    errors: ["PROXY_REFUSED"],
    async handle(exchange, { query }) {
      limits.take(exchange, "login");
      const { signInByProxy } = await import("../proxy-header/sign-in.ts");
      return signInByProxy(context, exchange, query.returnTo);
    },
  });
  return [
    ...(settings.current.auth.proxyHeader.name === undefined ? [] : [byProxy]),
    route({
      method: "GET",
      path: "/api/v1/setup",
      id: "getSetup",
      summary: "Get what a sign-in page needs: whether there is an administrator, and the policy of registrations",
      ...open,
      response: SetupView,
      async handle(exchange) {
        const { registration, passwordMin } = settings.current.auth;
        const local = await localLogin(settings.current, db.read);
        const providers = providersOf(settings.current);
        return {
          needsAdmin: !(await hasAdmin(db.read, isDevelopment)),
          registration: local === "on" ? registration : ("closed" as const),
          localLogin: local,
          passwordMin,
          mailConfigured: accounts.mail.isConfigured,
          providers: providers.map(({ name, label, url }) => ({ name, label, url })),
          autoRedirect: providers.find((each) => each.autoRedirect)?.url ?? null,
          passkeys: await offersSignIn(accounts),
          ...((await mayKnowServer(context.kernel, exchange)) ? { development: isDevelopment, version: VERSION } : {}),
        };
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/sign-in-link",
      id: "signInByLink",
      summary: "Log in with the token of a link that the operator has made; it is valid once",
      ...open,
      signsIn: true,
      attempts: "address",
      body: SignInLinkBody,
      response: LoginView,
      errors: ["LINK_EXPIRED", "SECOND_FACTOR_REQUIRED", "ACCOUNT_PENDING", "ACCOUNT_DISABLED", "ACCOUNT_UNVERIFIED"],
      async handle(exchange, { body }) {
        limits.take(exchange, "login");
        const { token, tokenDelivery, device, rememberMe = true } = body;
        const opened = requireComplete(await signInByLink(accounts, token, clientOf(exchange, device)));
        return loginReply(context, cookie, opened, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/login/second-factor",
      id: "loginWithSecondFactor",
      summary: "Complete a login that answered SECOND_FACTOR_REQUIRED",
      ...open,
      signsIn: true,
      attempts: "name",
      body: SecondStepBody,
      response: LoginView,
      errors: ["INVALID_CREDENTIALS", "LINK_EXPIRED", "ACCOUNT_PENDING", "ACCOUNT_DISABLED", "ACCOUNT_UNVERIFIED"],
      async handle(exchange, { body }) {
        const { tokenDelivery, device, rememberMe = true, ...proof } = body;
        const client = clientOf(exchange, device);
        const userId = await challengedUser(accounts, proof.challenge);
        if (userId === undefined) {
          limits.take(exchange, "login");
          throw new PrismError("LINK_EXPIRED", "The login has expired; start again");
        }
        const key = factorKey(userId);
        const succeeded = limits.takeLogin(exchange, key, accounts.backoff.isKnown(key, client.ip));
        const login = await proveSecondFactor(accounts, userId, proof, client);
        succeeded();
        return loginReply(context, cookie, login, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
  ];
}

const PATH = "/api/v1/users/me/second-factor";

const PendingView = named(
  "PendingSecondFactor",
  "The secret of an authenticator app, shown once; pending until its first code",
  v.object({
    secret: doc(v.string(), "Secret in Base32, for typing"),
    uri: doc(v.string(), "The `otpauth:` URI, for a QR code"),
  }),
);
const CodesView = named(
  "RecoveryCodes",
  "Recovery codes, shown once; each replaces one proof of the second factor. None where the account has them already",
  v.object({ recoveryCodes: v.array(v.string()) }),
);

const GUESSES = ["INVALID_CREDENTIALS", "RATE_LIMITED", "INVALID_STATE"] as const;

/** The second factor of the caller, and that of others for managers of users. */
export function secondFactorRoutes({ accounts }: AuthContext): Route[] {
  const own = { tag: "Authentication", access: {} } as const;
  return [
    route({
      ...own,
      method: "POST",
      path: PATH,
      id: "startSecondFactor",
      summary: "Create the secret of an authenticator app; it counts after its first code",
      body: OwnerProof,
      status: 201,
      response: PendingView,
      errors: [...GUESSES, "OVERLOADED"],
      async handle(exchange, { body }) {
        return startSecondFactor(accounts, userOf(exchange), body, clientOf(exchange));
      },
    }),
    route({
      ...own,
      method: "POST",
      path: `${PATH}/confirm`,
      id: "confirmSecondFactor",
      summary: "Enable the second factor with its first code; the caller's other sessions end",
      body: FirstCodeBody,
      response: CodesView,
      errors: GUESSES,
      async handle(exchange, { body }) {
        const { userId, sessionId } = userOf(exchange);
        const owner = { userId, sessionId };
        return { recoveryCodes: await confirmSecondFactor(accounts, owner, body.code, clientOf(exchange)) };
      },
    }),
    route({
      ...own,
      method: "POST",
      path: `${PATH}/recovery-codes`,
      id: "renewRecoveryCodes",
      summary: "Create new recovery codes in place of the earlier ones",
      body: FullProof,
      response: CodesView,
      errors: [...GUESSES, "OVERLOADED"],
      async handle(exchange, { body }) {
        return { recoveryCodes: await renewRecoveryCodes(accounts, userOf(exchange), body, clientOf(exchange)) };
      },
    }),
    route({
      ...own,
      method: "DELETE",
      path: PATH,
      id: "removeSecondFactor",
      summary: "Remove the caller's authenticator app; passkeys and recovery codes beside them stay",
      body: FullProof,
      status: 204,
      errors: [...GUESSES, "OVERLOADED"],
      async handle(exchange, { body }) {
        await removeSecondFactor(accounts, userOf(exchange), body, clientOf(exchange));
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/users/:id/second-factor",
      id: "resetSecondFactor",
      summary: "Remove the second factor of another user with all passkeys, such as after the loss of a device",
      tag: "Users",
      access: { permission: "users:manage" },
      params: v.object({ id: doc(v.string(), "Id of the user") }),
      status: 204,
      errors: ["USER_NOT_FOUND", "INVALID_STATE", "PRIVILEGE_ESCALATION"],
      async handle(exchange, { params: { id } }) {
        await resetSecondFactor(accounts, id, holderOf(exchange));
      },
    }),
  ];
}

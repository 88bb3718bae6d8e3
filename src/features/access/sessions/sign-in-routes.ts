import * as v from "valibot";
import { VERSION } from "../../../core/runtime.ts";
import { type Route, route } from "../../../http/route.ts";
import { doc, named } from "../../../http/shapes.ts";
import { hasAdmin } from "../first-start.ts";
import { type AuthContext, type AuthLimits, RefreshCookie } from "./guards.ts";
import { LoginView, loginReply } from "./login-reply.ts";
import { SignInLinkBody } from "./schema.ts";
import { clientOf } from "./sessions.ts";
import { signInByLink } from "./sign-in.ts";

const open = { tag: "Authentication", access: "public" } as const;

const SetupView = named(
  "Setup",
  "What a sign-in page needs to know",
  v.object({
    needsAdmin: doc(v.boolean(), "True until an account holds Admin; register with the setup token"),
    registration: doc(v.picklist(["approval", "open", "closed"]), "What becomes of a registration"),
    passwordMin: doc(v.number(), "Shortest password, in characters"),
    mailConfigured: doc(v.boolean(), "Whether mails can be sent, such as links to reset a password"),
    development: doc(v.boolean(), "Whether the server runs in development mode, with the administrator `dev`"),
    version: doc(v.string(), "Version of the server"),
  }),
);

/** Signing in without a password, and what a sign-in page must know. */
export function signInRoutes(context: AuthContext, limits: AuthLimits): Route[] {
  const { accounts, settings, db } = context;
  const cookie = new RefreshCookie(settings);
  const isDevelopment = settings.current.env === "development";
  return [
    route({
      method: "GET",
      path: "/api/v1/setup",
      id: "getSetup",
      summary: "Get what a sign-in page needs: whether there is an administrator, and the policy of registrations",
      ...open,
      response: SetupView,
      async handle() {
        const { registration, passwordMin } = settings.current.auth;
        return {
          needsAdmin: !(await hasAdmin(db.read, isDevelopment)),
          registration,
          passwordMin,
          mailConfigured: accounts.mail.isConfigured,
          development: isDevelopment,
          version: VERSION,
        };
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/auth/sign-in-link",
      id: "signInByLink",
      summary: "Log in with the token of a link that the operator has made; it is valid once",
      ...open,
      attempts: "address",
      body: SignInLinkBody,
      response: LoginView,
      errors: ["LINK_EXPIRED", "ACCOUNT_PENDING", "ACCOUNT_DISABLED", "ACCOUNT_UNVERIFIED"],
      async handle(exchange, { body }) {
        limits.take(exchange, "login");
        const { token, tokenDelivery, device, rememberMe = true } = body;
        const opened = await signInByLink(accounts, token, clientOf(exchange, device));
        return loginReply(context, cookie, opened, { delivery: tokenDelivery, endsWithBrowser: !rememberMe });
      },
    }),
  ];
}

import * as v from "valibot";
import { type Route, route } from "../../../http/route.ts";
import { clientOf } from "../accounts/client-of.ts";
import type { AuthLimits } from "./auth-limits.ts";
import type { AuthContext } from "./context.ts";
import { EmailBody, LinkBody, ResetBody, UserStatusView } from "./schema.ts";

/** What the links in mails lead to, and asking for such mails (contract 4.4). */
export function linkRoutes({ accountLinks }: AuthContext, limits: AuthLimits): Route[] {
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
        return { status: await accountLinks.verifyEmail(body.token) };
      },
    }),
    mailRoute(
      "/api/v1/auth/resend-verification",
      "Ask for another link to confirm a mail address; the answer is the same whether or not an account waits for one",
      (email) => accountLinks.resendVerification(email),
    ),
    mailRoute(
      "/api/v1/auth/forgot-password",
      "Ask for a link to choose a new password; the answer is the same whether or not there is an account",
      (email) => accountLinks.forgotPassword(email),
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
        await accountLinks.resetPassword(body.token, body.password, clientOf(exchange));
      },
    }),
  ];
}

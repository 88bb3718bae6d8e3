import * as v from "valibot";
import { Reply } from "../../../http/route.ts";
import { named } from "../../../http/shapes.ts";
import { findUser, ownDetails, UserView, userView } from "../users/queries.ts";
import type { AuthContext, RefreshCookie } from "./guards.ts";
import type { Login } from "./login.ts";
import { loginEntries } from "./schema.ts";

/**
 * How the refresh token goes to the client: in a cookie that pages cannot read, or, for clients
 * without cookies, in the body.
 */
type TokenDelivery = "cookie" | "body";

/** The answer to everything that logs in. */
export async function loginReply(
  { db, clock, pusherRegistry }: AuthContext,
  cookie: RefreshCookie,
  login: Login,
  {
    delivery = "cookie",
    isCookieSpent = false,
    endsWithBrowser = false,
    status = 200,
    extra = {},
  }: {
    delivery?: TokenDelivery | undefined;
    isCookieSpent?: boolean;
    endsWithBrowser?: boolean;
    status?: number;
    extra?: object;
  } = {},
): Promise<Reply> {
  const { accessToken, accessExpiresAt, session, userId } = login;
  const now = clock.now();
  const user = await findUser(db.read, userId);
  const body = {
    token: accessToken,
    accessToken,
    tokenType: "Bearer",
    expiresIn: Math.max(0, Math.round((accessExpiresAt - now) / 1000)),
    user: userView(user, await ownDetails(db.read, pusherRegistry, userId)),
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

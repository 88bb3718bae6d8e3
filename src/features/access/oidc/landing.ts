import { type ErrorCode, PrismError } from "../../../core/errors.ts";
import { Reply } from "../../../http/api/route.ts";
import type { Context } from "../../../module/feature.ts";
import { recordFailedLogin } from "../context.ts";
import { RefreshCookie } from "../sessions/guards.ts";
import type { Opened } from "../sessions/login.ts";

/*
 * The end of a sign-in that leads a browser through other pages: a page of the console, which reads the fragment of its
 * address. Fragments reach no server.
 */

const MAX_PATH = 1000;

type LandingContext = Context<"accounts">;

/** A path of the console, with its query; anything else is its start page. */
export function consolePath(given: string): string {
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(given) || given.length > MAX_PATH || given.includes("\\")) return "/";
  const { pathname, search } = new URL(`http://console/dashboard${given}`);
  // Leaving out `..` may leave two slashes, which begin another host.
  return /^\/dashboard\/(?!\/)/.test(pathname) ? pathname.slice("/dashboard".length) + search : "/";
}

/** Leads to a page of the console. */
export function landAt(
  { publicUrl }: Pick<LandingContext, "publicUrl">,
  path: string,
  fragment: Readonly<Record<string, string>> = {},
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const text = new URLSearchParams(fragment).toString();
  const location = `${publicUrl()}/dashboard${path}${text === "" ? "" : `#${text}`}`;
  return new Reply(302, undefined, { Location: location, ...headers });
}

/** With the session, or at the second step of the sign-in page. */
export function landOpened(context: LandingContext, opened: Opened, next: string): Reply {
  if ("challenge" in opened)
    return landAt(context, signInPage(next), { challenge: opened.challenge, factors: opened.factors.join(" ") });
  const cookie = new RefreshCookie(context.settings).set(opened.refreshToken, opened.expiresAt - context.clock.now());
  return landAt(context, next, { "signed-in": "" }, { "Set-Cookie": cookie });
}

/**
 * With the code of an error: the page knows a sentence for each, and a link must not put words into Prism's mouth.
 * @param who signs in, for log and audit. @param page default: the sign-in page
 */
export async function landRefused(
  context: LandingContext,
  error: unknown,
  { who, next, page = signInPage(next) }: { readonly who: string; readonly next: string; readonly page?: string },
): Promise<Reply> {
  const code: ErrorCode = error instanceof PrismError ? error.code : "INTERNAL";
  if (code === "INTERNAL") context.log.error({ err: error, provider: who }, "a sign-in at a provider failed");
  if (code !== "RATE_LIMITED" && code !== "PROVIDER_UNREACHABLE")
    await recordFailedLogin(context.accounts, null, `${who}: ${code}`);
  return landAt(context, page, { error: code });
}

function signInPage(next: string): string {
  return next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`;
}

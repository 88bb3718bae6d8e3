import { computed, signal } from "@preact/signals";
import type { LoginTokens, User } from "../../src/client/api-types.gen.ts";
import { PrismClient } from "../../src/client/client.ts";
import { PrismError } from "../../src/client/errors.ts";
import { SERVER_URL } from "./base.ts";

export type SessionState = "loading" | "signedOut" | "signedIn";

/** The answer to a sign-in. */
export type Login = Pick<LoginTokens, "accessToken" | "user" | "offsets">;

/** Serialises renewals of all tabs: a refresh token works once. */
const RENEWAL_LOCK = "prism-refresh";
const ME_KEY = "prism.me";
/** Replaces the user's id for a session that ends with the browser: nothing of it is kept. */
const BRIEF = "brief";
/** Set while the server does not know of a logout: the cookie of its session is still there. */
const LOGOUT_KEY = "prism.logout";
/** In the storage of a tab: its sign-in page leads to no provider by itself until the next sign-in. */
export const NO_REDIRECT_KEY = "prism.noRedirect";
const channel = new BroadcastChannel("prism-session");

export const session = signal<SessionState>("loading");
export const me = signal<User | null>(null);
/** The client of the session; null without one. */
export const client = signal<PrismClient | null>(null);
/** Why the session ended, shown on the sign-in page. */
export const endedBecause = signal<string | null>(null);

const permissions = computed(() => new Set<string>(me.value?.permissions ?? []));

/** Whether the user may do something. The server checks it again. @param permission such as `rules:write` */
export function can(permission: string): boolean {
  return permissions.value.has(permission);
}

/**
 * A request without a session, such as a sign-in; the refresh cookie is sent.
 * @throws PrismError
 */
export async function openRequest<T>(path: string, body: object, method = "POST"): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", headers: { "Content-Type": "application/json" } };
  if (method !== "GET") init.body = JSON.stringify(body);
  const response = await fetch(`${SERVER_URL}/api/v1${path}`, init).catch((error: unknown) => {
    throw new PrismError("CONNECTION_FAILED", "The server cannot be reached", { cause: error });
  });
  const text = await response.text();
  const answer = parseObject(text);
  if (response.ok) return answer as T;
  const { error = {} } = answer as { error?: Partial<PrismError> };
  throw new PrismError(error.code ?? "INTERNAL", error.message ?? "The server sent no readable answer", {
    ...error,
    status: response.status,
    retryAfterMs: Number(response.headers.get("retry-after")) * 1000 || undefined,
  });
}

function parseObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

const OTHER_ADDRESS =
  "The server does not accept pages under this address. Open the console under the server's public URL, " +
  "or add this address to cors.origins.";

/** @returns a new access token, and the account; null when the session has ended. */
async function renewLogin(): Promise<Login | null> {
  // The server closes the sockets of a session that is being signed out.
  if (localStorage.getItem(LOGOUT_KEY) !== null) return null;
  const renew = () => openRequest<Login>("/auth/refresh", {});
  try {
    // Browsers have locks on https and on this machine only.
    const login = await (navigator.locks ? navigator.locks.request(RENEWAL_LOCK, renew) : renew());
    // Another tab has signed in as another user: this page must not act with those rights.
    if (me.value && login.user.id !== me.value.id) {
      location.reload();
      return null;
    }
    return login;
  } catch (error) {
    if (!(error instanceof PrismError) || error.status === undefined || error.status >= 500) throw error;
    if (error.code === "ORIGIN_REFUSED") end(OTHER_ADDRESS);
    else if (session.value === "signedIn") end("Your session has ended. Sign in again.");
    return null;
  }
}

async function renewToken(): Promise<string | null> {
  return (await renewLogin())?.accessToken ?? null;
}

/** People wait for the page: it connects again soon after the server is back. */
const RECONNECT = { maxMs: 5000 };

/** Opens the session of an earlier visit, if there is one. Call it once, at start. */
export async function resumeSession(): Promise<void> {
  const isNew = takeSignedIn();
  // The session of an earlier sign-out was replaced.
  if (isNew) localStorage.removeItem(LOGOUT_KEY);
  if (localStorage.getItem(LOGOUT_KEY) !== null) await logOut();
  // Pages cannot see the refresh cookie; a first visit needs no request that fails.
  if (localStorage.getItem(ME_KEY) === null && !isNew) {
    session.value = "signedOut";
    return;
  }
  try {
    const login = await renewLogin();
    if (login === null) end(endedBecause.value ?? "Your session has ended. Sign in again.");
    else openSession(login);
  } catch {
    resumeOffline();
  }
}

/** Whether a provider has just signed this browser in: the server then leads to a page with this mark. */
function takeSignedIn(): boolean {
  if (location.hash !== "#signed-in=") return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}

/** Without a connection the console shows the data of its cache. */
function resumeOffline(): void {
  const known = readMe();
  if (!known) return end("The server cannot be reached. Try again later.");
  openedAt = null;
  me.value = known;
  client.value = new PrismClient({ url: SERVER_URL, getToken: renewToken, reconnect: RECONNECT });
  session.value = "signedIn";
}

/** The user of the last session. Scripts and people can change what a browser keeps. */
function readMe(): User | null {
  const kept = parseObject(localStorage.getItem(ME_KEY) ?? "") as Partial<User>;
  const { id, roles, permissions, timezone, locale } = kept;
  if (typeof id !== "string" || !Array.isArray(roles) || !Array.isArray(permissions)) return null;
  try {
    new Intl.DateTimeFormat(locale, { timeZone: timezone ?? "UTC" });
    return kept as User;
  } catch {
    return null;
  }
}

/** Whether the browser may keep the user's data, for pages without a connection. */
export function isRemembered(): boolean {
  return localStorage.getItem(ME_KEY) !== BRIEF;
}

/** Where the live streams were when the session was opened, by `performance.now()`; null: unknown. */
export let openedAt: { readonly ms: number; readonly offsets: Login["offsets"] } | null = null;

/** Starts using a session. @param rememberMe of the login; default: as before */
export function openSession({ accessToken, user, offsets }: Login, rememberMe = isRemembered()): void {
  const next = new PrismClient({ url: SERVER_URL, token: accessToken, getToken: renewToken, reconnect: RECONNECT });
  openedAt = { ms: performance.now(), offsets };
  localStorage.setItem(ME_KEY, rememberMe ? JSON.stringify(user) : BRIEF);
  localStorage.removeItem(LOGOUT_KEY);
  sessionStorage.removeItem(NO_REDIRECT_KEY);
  void client.value?.close();
  endedBecause.value = null;
  me.value = user;
  client.value = next;
  session.value = "signedIn";
  void reportZone(next, user);
}

/** Tells the server the browser's zone when it has another one, for mails and quiet hours. */
async function reportZone({ api }: PrismClient, { timezone, effectiveTimezone }: User): Promise<void> {
  const browserTimezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (timezone !== null || effectiveTimezone === browserTimezone) return;
  // The next sign-in reports it again.
  await api.request({ method: "PUT", path: "/api/v1/users/me", body: { browserTimezone } }).catch(() => undefined);
}

/** Reads the user again, after a change of the account or its roles. */
export async function reloadMe(): Promise<void> {
  const current = client.value;
  const user = await current?.api.request<User>({ method: "GET", path: "/api/v1/users/me" });
  // Meanwhile another user may have signed in.
  if (!user || client.value !== current) return;
  if (isRemembered()) localStorage.setItem(ME_KEY, JSON.stringify(user));
  me.value = user;
}

/** Functions that remove what this browser keeps of a session. */
const cleanups = new Set<() => void | Promise<void>>();

/** Registers work for the end of a session, before its token is lost. */
export function onSignOut(cleanup: () => void | Promise<void>): void {
  cleanups.add(cleanup);
}

/** Ends the session on the server and in all tabs. */
export async function signOut(): Promise<void> {
  // At once: the page may be closed while the rest is done.
  localStorage.setItem(LOGOUT_KEY, "pending");
  for (const cleanup of cleanups) await Promise.resolve(cleanup()).catch(() => undefined);
  // First, so that no page takes the end of its socket for an expired token.
  channel.postMessage("signed out");
  void client.value?.close();
  const isEnded = await logOut();
  end(isEnded ? null : "You are signed out here. The server could not be reached, and learns of it at the next visit.");
}

/** @returns false when the server could not be reached; the next visit tries again. */
async function logOut(): Promise<boolean> {
  try {
    await openRequest("/auth/logout", {});
  } catch (error) {
    if (!(error instanceof PrismError) || error.status === undefined || error.status >= 500) return false;
  }
  localStorage.removeItem(LOGOUT_KEY);
  return true;
}

function end(reason: string | null): void {
  void client.value?.close();
  localStorage.removeItem(ME_KEY);
  sessionStorage.setItem(NO_REDIRECT_KEY, "ended");
  client.value = null;
  me.value = null;
  endedBecause.value = reason;
  session.value = "signedOut";
}

channel.addEventListener("message", () => end("You signed out in another tab."));

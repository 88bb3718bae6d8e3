import { effect, signal } from "@preact/signals";
import { PrismError } from "../../src/client/errors.ts";
import { CONSOLE_ROOT } from "./base.ts";
import { isRemembered, me, session } from "./session.ts";

/*
 * The last answers of the main lists, for pages without a connection: in a cache per user, which is
 * deleted when the session ends. A service worker could not do this: without a connection there is
 * no access token, so the client sends no request that it could answer.
 */

const PREFIX = "prism-answers-";
const MAX_ANSWERS = 60;
const MAX_BYTES = 262_144;
const STORED_AT = "X-Stored-At";

/** Never sessions, tokens, keys, settings, exports. */
const KEPT = new RegExp(
  "^/(users/me|stats|attention|notifications(/unread-count|/[\\w-]{36})?|explain/(event|notification)/[\\w-]{36}" +
    "|events(/[\\w-]{36})?|rules(/[\\w-]{36})?|jobs|queues|schedules|timers|tasks|projects|deliveries|messages)$",
);

type Params = Readonly<Record<string, unknown>>;

/** When the oldest of the shown answers was received, in epoch ms; null: all came from the server now. */
export const shownFrom = signal<number | null>(null);

effect(() => {
  if (session.value === "signedOut") void forgetAnswers();
});

/** Deletes the kept answers of all users. */
export async function forgetAnswers(): Promise<void> {
  shownFrom.value = null;
  if (!("caches" in globalThis)) return;
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX)).map((name) => caches.delete(name)));
}

/** Charts ask for another time range each time: the latest one is kept. */
function keyOf(path: string, { from: _from, to: _to, ...query }: Params): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return new URL(`${CONSOLE_ROOT}answers${path}?${text}`, location.href).href;
}

function cacheName(): string | undefined {
  const user = me.peek();
  return user && isRemembered() && "caches" in globalThis ? PREFIX + user.id : undefined;
}

/** Keeps the answer to a GET request of a main list. */
export async function keepAnswer(path: string, query: Params, answer: unknown): Promise<void> {
  shownFrom.value = null;
  const name = cacheName();
  if (name === undefined || !KEPT.test(path) || query["cursor"] !== undefined) return;
  const text = JSON.stringify(answer);
  if (text.length > MAX_BYTES) return;
  try {
    const cache = await caches.open(name);
    const key = keyOf(path, query);
    // The order of keys is that of their first storing.
    await cache.delete(key);
    await cache.put(key, new Response(text, { headers: { [STORED_AT]: String(Date.now()) } }));
    const keys = await cache.keys();
    await Promise.all(keys.slice(0, Math.max(0, keys.length - MAX_ANSWERS)).map((old) => cache.delete(old)));
  } catch {
    // The disk is full or storage is blocked: pages work without it.
  }
}

/** The kept answer to a request that did not reach the server. @throws the error where none is kept */
export async function keptAnswer<T>(path: string, query: Params, error: unknown): Promise<T> {
  const isOffline = error instanceof PrismError && ["CONNECTION_FAILED", "CREDENTIALS_FAILED"].includes(error.code);
  const name = cacheName();
  if (!isOffline || name === undefined || !KEPT.test(path)) throw error;
  const kept = await (await caches.open(name)).match(keyOf(path, query));
  if (!kept) throw error;
  const at = Number(kept.headers.get(STORED_AT));
  shownFrom.value = Math.min(shownFrom.peek() ?? at, at);
  return (await kept.json()) as T;
}

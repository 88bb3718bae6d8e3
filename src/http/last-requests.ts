import { setImmediate, setTimeout } from "node:timers/promises";
import type { ActiveRequests } from "./active-requests.ts";
import type { HttpListener } from "./listener.ts";

/** How long no request may come before kept connections are closed. */
const QUIET_MS = 250;
/** Clients that go on asking are waited for no longer than this. */
const LIMIT_MS = 1000;
/** Of a short `shutdownMs` the quiet and the limit are this part at most. */
const SHARE = 0.05;
const CHECK_MS = 10;

/**
 * Resolves when the connections of a server that drains may be closed: there are none, or no request has come on them for a while. A connection
 * that is closed while a request is on its way leaves the client without an answer.
 * @param shutdownMs how long the whole stop may take
 */
export async function lastRequests(
  requests: ActiveRequests,
  listener: Pick<HttpListener, "openConnections">,
  shutdownMs: number,
): Promise<void> {
  const startedAt = performance.now();
  const quietMs = Math.min(QUIET_MS, shutdownMs * SHARE);
  const limitMs = Math.min(LIMIT_MS, shutdownMs * SHARE * (LIMIT_MS / QUIET_MS));
  const hasConnections = (): boolean => listener.openConnections > requests.upgraded;
  const sinceLastMs = (): number => performance.now() - Math.max(startedAt, requests.lastAt);
  while (hasConnections() && sinceLastMs() < quietMs && performance.now() - startedAt < limitMs)
    await setTimeout(CHECK_MS);
  // The first turn reads what has arrived by now; its answers go out in the second one.
  for (let turn = 0; turn < 2; turn++) await setImmediate();
}

import { refresh } from "../../app/query.ts";
import { useProjectChanges } from "../../app/refresh.ts";

/** Pings are not events, so they are requested this often. */
const PINGS_MS = 10_000;

/** Reloads what is shown of heartbeats when one goes down or up, and for its pings. */
export function useHeartbeatsLive(): void {
  useProjectChanges(/^heartbeat\./, () => refresh("/heartbeats"), { idleMs: PINGS_MS });
}

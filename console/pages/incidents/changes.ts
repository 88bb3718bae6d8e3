import { useEffect } from "preact/hooks";
import { useProjectChanges } from "../../app/refresh.ts";
import { useLatest } from "../../ui/index.ts";
import type { IncidentDetail } from "./incident-types.ts";
import { countSoon } from "./open-incidents.ts";

const TYPES = /^(incident|alert|silence)\./;

/**
 * Runs `reload` after changes of alerts, incidents and silences.
 * @param projectId default: all projects of the user
 */
export function useAlertingChanges(reload: () => void, projectId?: string): void {
  useProjectChanges(TYPES, reload, { projectId, everyMs: 500, onType: countSoon });
}

const UNDER_WAY_MS = 3000;
const UNSEEN_MS = 15_000;

/** Reads an incident again while pages are under way or not seen: no stream has what becomes of them. */
export function usePagesUnderWay(incident: IncidentDetail | undefined, reload: () => void): void {
  const latest = useLatest(reload);
  const isOpen = incident !== undefined && incident.state !== "resolved";
  const isUnderWay = incident?.notices.some(({ outcome }) => outcome === "queued" || outcome === "trying") ?? false;
  const isUnseen = incident?.audience.some(({ seenAt }) => seenAt === null) ?? false;
  const everyMs = isUnderWay ? UNDER_WAY_MS : isOpen && isUnseen ? UNSEEN_MS : null;
  useEffect(() => {
    if (everyMs === null) return;
    const timer = setInterval(() => document.hidden || latest.current(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

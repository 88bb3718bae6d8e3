import type { Incident, Notification } from "../../../src/client/api-types.gen.ts";
import type { Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { useGet } from "../../app/query.ts";
import { Badge } from "../../ui/index.ts";
import { stateOf } from "../incidents/incident-types.ts";

type OfIncident = Pick<Notification, "kind" | "data">;

/** The incident of a notification; null for others, and for users who may not read incidents. */
export function incidentIdOf({ kind, data }: OfIncident): string | null {
  const id = kind === "incident" ? data?.["incidentId"] : undefined;
  return typeof id === "string" && canInProject("events:read") === true ? id : null;
}

const UNRESOLVED = { mine: true, state: "unresolved", limit: 100 };

/** The incidents of which the user was notified, and which are not over. */
export function useIncidentsQuery(isNeeded: boolean) {
  return useGet<Page<Incident>>(isNeeded ? "/incidents" : null, UNRESOLVED);
}

/**
 * Finds the incident of a notification as it is now; all notifications of a list share one request.
 * @returns "ended": it is resolved; undefined: none, or not known
 */
export function useIncidents(isNeeded = true): (notification: OfIncident) => Incident | "ended" | undefined {
  const { data } = useIncidentsQuery(isNeeded);
  return (notification) => {
    const id = incidentIdOf(notification);
    if (id === null || data === undefined) return undefined;
    return data.data.find((each) => each.id === id) ?? (data.nextCursor === null ? "ended" : undefined);
  };
}

/** Whether someone takes care of the incident already, so that there is nothing to acknowledge. */
export function isTaken(incident: Incident | "ended" | undefined): boolean {
  return incident !== undefined && incident !== "ended" && incident.state === "acknowledged";
}

/** The state of the incident now. */
export function IncidentState({ notification }: { readonly notification: OfIncident }) {
  const incident = useIncidents(incidentIdOf(notification) !== null)(notification);
  if (incident === undefined) return null;
  // It may be resolved or no longer reported.
  const { text, tone } = incident === "ended" ? ({ text: "ended", tone: "ok" } as const) : stateOf(incident);
  return <Badge tone={tone}>{`incident ${text}`}</Badge>;
}

import type { Incident, Notification } from "../../../src/client/api-types.gen.ts";
import type { Page } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { useGet } from "../../app/query.ts";
import { Badge } from "../../ui/index.ts";
import { stateOf } from "../incidents/incident-types.ts";

/** The incident of a notification; null for others, and for users who may not read incidents. */
export function incidentIdOf({ kind, data }: Pick<Notification, "kind" | "data">): string | null {
  const id = kind === "incident" ? data?.["incidentId"] : undefined;
  return typeof id === "string" && canInProject("events:read") === true ? id : null;
}

const UNRESOLVED = { mine: true, state: "unresolved", limit: 100 };

/** The state of the incident now; all notifications of a list share one request. */
export function IncidentState({ notification }: { readonly notification: Pick<Notification, "kind" | "data"> }) {
  const id = incidentIdOf(notification);
  const { data } = useGet<Page<Incident>>(id === null ? null : "/incidents", UNRESOLVED);
  if (id === null || data === undefined) return null;
  const incident = data.data.find((each) => each.id === id);
  if (incident === undefined && data.nextCursor !== null) return null;
  // It may be resolved or no longer reported.
  const { text, tone } = incident ? stateOf(incident) : ({ text: "ended", tone: "ok" } as const);
  return <Badge tone={tone}>{`incident ${text}`}</Badge>;
}

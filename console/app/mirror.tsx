import type { Project as ApiProject } from "../../src/client/api-types.gen.ts";
import { Badge, Banner, isPending, Waiting } from "../ui/index.ts";
import { useProjects, useProjectsQuery } from "./projects.ts";

/* What pages show of a mirror: a project beside another system, which sends nothing. */

export type Mirror = NonNullable<ApiProject["settings"]["mirror"]>;

/** Names of the systems that a project can run beside. */
export const SYSTEMS: Readonly<Record<Mirror["from"], string>> = {
  oncall: "Grafana OnCall",
  opsgenie: "Opsgenie",
  pagerduty: "PagerDuty",
  alertmanager: "Alertmanager",
  "uptime-kuma": "Uptime Kuma",
  healthchecks: "Healthchecks",
  ntfy: "ntfy",
  gotify: "Gotify",
  other: "Another system",
};

interface Props {
  /** Of what is shown; null: of the server. */
  readonly projectId: string | null | undefined;
}

/** The system beside a project; null: it is no mirror, or not known yet. */
export function useMirror(projectId: string | null | undefined): Mirror | null {
  return useProjects().find(({ id }) => id === projectId)?.settings.mirror ?? null;
}

/** A word beside what would have been sent; nothing for a project that is no mirror. */
export function MirrorBadge({ projectId }: Props) {
  const mirror = useMirror(projectId);
  return mirror === null ? null : (
    <Badge tone="info" title={`Nothing is sent: ${SYSTEMS[mirror.from]} notifies people`}>
      mirror
    </Badge>
  );
}

/** Says above a page that nothing of it was sent. */
export function MirrorNotice({ projectId }: Props) {
  const mirror = useMirror(projectId);
  if (isPending(useProjectsQuery())) return <Waiting />;
  return mirror === null ? null : (
    <Banner tone="info" title="Mirror: nothing is sent">
      {`${SYSTEMS[mirror.from]} notifies people. What this page shows of pages and notifications stays in Prism.`}
    </Banner>
  );
}

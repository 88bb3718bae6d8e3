import "./policies.css";
import { ManagedBadge } from "../../app/managed.tsx";
import { useReplacing } from "../../app/navigate.ts";
import { ProjectChoice, useProjectChoice } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import { formatRelative, Loaded, Page, plural, Skeleton, Toolbar } from "../../ui/index.ts";
import { PolicyTabs } from "./policy-tabs.tsx";
import { RoutesEditor } from "./routes-editor.tsx";
import type { RouteNode, Routing } from "./routing-types.ts";

/** Which alerts reach which policy. */
export default function RoutesPage() {
  const [project, choose, projects] = useProjectChoice();
  const setProject = useReplacing(choose);
  const query = useGet<Routing>("/routes", { projectId: project });
  return (
    <Page
      title="Policies"
      documentTitle="Routes"
      badge={query.data && <ManagedBadge kind="routes" id={query.data.projectId} />}
      subtitle={query.data ? summary(query.data) : "Which alerts reach which policy."}
      tabs={<PolicyTabs value="routes" project={project} />}
    >
      <Toolbar>
        <ProjectChoice value={project} onChange={setProject} projects={projects} />
      </Toolbar>
      <Loaded query={query} skeleton={<Skeleton kind="form" />}>
        {(routing) => <RoutesEditor key={routing.projectId} routing={routing} reload={query.reload} />}
      </Loaded>
    </Page>
  );
}

function summary({ route, version, updatedAt }: Routing): string {
  const count = (node: RouteNode): number => 1 + (node.routes ?? []).reduce((sum, child) => sum + count(child), 0);
  if (version === 0) return "The built-in document: every alert goes to the policy default, grouped by alertname.";
  return `${plural(count(route), "route")}, version ${version}, changed ${updatedAt ? formatRelative(updatedAt) : ""}.`;
}

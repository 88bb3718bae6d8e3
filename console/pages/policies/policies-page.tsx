import type { Policy } from "../../../src/client/api-types.gen.ts";
import "./policies.css";
import { href } from "../../app/base.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectChoice, useProjectChoice } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Banner,
  type Column,
  DataTable,
  NewButton,
  Page,
  plural,
  Tabs,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { useTargetNames } from "./names.ts";
import { type Names, stepText } from "./policy-types.ts";

interface TabsProps {
  readonly value: "policies" | "routes";
  readonly project: string;
}

export function PolicyTabs({ value, project }: TabsProps) {
  const query = project === "default" ? "" : `?project=${encodeURIComponent(project)}`;
  return (
    <Tabs
      label="Policies and routes"
      value={value}
      tabs={[
        { value: "policies", label: "Policies", href: href(`/policies${query}`) },
        { value: "routes", label: "Routes", href: href(`/policies/routes${query}`) },
      ]}
    />
  );
}

/** Who is notified of incidents, and in which order. */
export default function PoliciesPage() {
  const [project, setProject, projects] = useProjectChoice();
  const query = useGet<{ readonly data: readonly Policy[] }>("/policies", { projectId: project });
  const rows = query.data?.data;
  const names = useTargetNames(project, rows?.flatMap(({ steps }) => steps) ?? []);
  const isWritable = canInProject("policies:write") === true;
  return (
    <Page
      title="Policies"
      subtitle={
        rows === undefined
          ? "Who is notified of incidents, and in which order."
          : `${plural(rows.length, "policy", "policies")}: who is notified of incidents, in which order, until a person acknowledges.`
      }
      tabs={<PolicyTabs value="policies" project={project} />}
      actions={
        isWritable ? (
          <NewButton onClick={() => navigate(`/policies/new?project=${project}`)}>New policy</NewButton>
        ) : undefined
      }
    >
      {projects.length > 1 && (
        <Toolbar>
          <ProjectChoice value={project} onChange={setProject} projects={projects} />
        </Toolbar>
      )}
      <PagingWarnings project={project} />
      <DataTable<Policy>
        label="Policies"
        list={query}
        rows={rows}
        rowHref={({ id }) => href(`/policies/${id}`)}
        columns={columnsOf(names)}
      />
    </Page>
  );
}

interface Warnings {
  readonly data: readonly { readonly message: string }[];
}

/** Reasons why pages of the project would not arrive. */
function PagingWarnings({ project }: { readonly project: string }) {
  const { data: found } = useGet<Warnings>("/policies/warnings", { projectId: project });
  const warnings = found?.data ?? [];
  if (warnings.length === 0) return null;
  return (
    <Banner tone="warn" title="Pages may not arrive">
      <ul>
        {warnings.map(({ message }) => (
          <li key={message}>
            <UserText>{message}</UserText>
          </li>
        ))}
      </ul>
    </Banner>
  );
}

function columnsOf(names: Names): readonly Column<Policy>[] {
  return [
    {
      label: "Policy",
      card: "title",
      cell: ({ name, description }) => (
        <>
          <UserText lines={1}>{name}</UserText>
          {description !== "" && (
            <span class="muted small">
              <UserText lines={1}>{description}</UserText>
            </span>
          )}
        </>
      ),
    },
    {
      label: "Steps",
      width: "wide",
      card: "text",
      cell: ({ steps, repeat, opensIncidents }) => (
        <UserText lines={2}>
          {opensIncidents
            ? `${steps.map((step) => stepText(step, names)).join(" → ") || "none"}${repeat > 0 ? `, ${repeat + 1} rounds` : ""}`
            : "opens no incidents"}
        </UserText>
      ),
    },
    {
      label: "Version",
      width: "min",
      card: "aside",
      cell: ({ version }) => <Badge tone="plain">{version === 0 ? "built in" : `v${version}`}</Badge>,
    },
    {
      label: "Changed",
      align: "end",
      priority: 2,
      card: "meta",
      cell: ({ updatedAt }) => <Time at={updatedAt} empty="never" />,
    },
  ];
}

import type { ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { Managed, ManagedBadge } from "../../app/managed.tsx";
import { MirrorBadge } from "../../app/mirror.tsx";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, Button, formatBytes, formatRelative, Page, plural, Tabs } from "../../ui/index.ts";
import { MirrorReportView } from "./mirror-report.tsx";
import { ProjectKeys } from "./project-keys.tsx";
import { ProjectMembers } from "./project-members.tsx";
import { ProjectSettingsForm } from "./project-settings.tsx";
import { ProjectTopics } from "./project-topics.tsx";

export default function ProjectPage({ params }: PageProps) {
  const query = useGet<ProjectDetail>(`/projects/${params["id"]}`);
  return (
    <LoadedPage title="Project" query={query} managedAs="projects">
      {(project) => <ProjectView project={project} reload={query.reload} />}
    </LoadedPage>
  );
}

function ProjectView({ project, reload }: { readonly project: ProjectDetail; readonly reload: () => void }) {
  const [tab] = useQueryState("tab", "members");
  const isOwner = project.role === "owner" || can("projects:all");
  const isEditor = isOwner || project.role === "editor";
  const isMirror = project.settings.mirror != null;
  const base = `/projects/${project.id}`;
  const tabs = [
    { value: "members", label: "Members", href: href(base) },
    ...(isEditor ? [{ value: "keys", label: "API keys", href: href(`${base}?tab=keys`) }] : []),
    ...(isMirror ? [{ value: "mirror", label: "Mirror", href: href(`${base}?tab=mirror`) }] : []),
    ...(isOwner ? [{ value: "topics", label: "Topics", href: href(`${base}?tab=topics`) }] : []),
    ...(isOwner ? [{ value: "settings", label: "Settings", href: href(`${base}?tab=settings`) }] : []),
  ];
  return (
    <Page
      title={project.name}
      subtitle={subtitleOf(project)}
      breadcrumb={[{ label: "Projects", href: href("/projects") }]}
      badge={
        <>
          <Badge tone="plain">{project.role ?? "administrator"}</Badge>
          <MirrorBadge projectId={project.id} />
          <ManagedBadge kind="projects" id={project.id} />
        </>
      }
      actions={
        <>
          <Button href={href(`/events?project=${project.id}`)}>Events</Button>
          {isOwner && <DeleteProject project={project} />}
        </>
      }
      tabs={<Tabs label="Project" value={tab} tabs={tabs} />}
    >
      {tab === "mirror" && isMirror ? (
        <MirrorReportView project={project} />
      ) : tab === "keys" && isEditor ? (
        <ProjectKeys project={project} isOwner={isOwner} />
      ) : tab === "topics" && isOwner ? (
        <Managed kind="ntfyAccess" id={project.id}>
          <ProjectTopics project={project} />
        </Managed>
      ) : tab === "settings" && isOwner ? (
        <Managed kind="projects" id={project.id}>
          <ProjectSettingsForm project={project} onSaved={reload} />
        </Managed>
      ) : (
        <ProjectMembers project={project} isOwner={isOwner} />
      )}
    </Page>
  );
}

function subtitleOf({ eventCount, lastEventAt, work, storage }: ProjectDetail): string {
  const events =
    lastEventAt === null
      ? "No event has arrived yet."
      : `${plural(eventCount, "event")}, the last one ${formatRelative(lastEventAt)}.`;
  return `${events} ${storageOf(storage)} ${workOf(work)}`.trim();
}

function storageOf({ bytes, limit }: ProjectDetail["storage"]): string {
  if (limit === null) return `It stores ${formatBytes(bytes)}.`;
  const full = bytes >= limit ? " More events are refused; alerts still arrive." : "";
  return `It stores ${formatBytes(bytes)} of ${formatBytes(limit)}.${full}`;
}

/** Nothing while its requests cost little. */
function workOf({ left, refused }: ProjectDetail["work"]): string {
  const used = left < 0.5 ? `Its requests have used ${Math.round(100 * (1 - left))} % of its budget of work.` : "";
  return refused === 0 ? used : `${used} ${plural(refused, "request")} refused for that since the server started.`;
}

function DeleteProject({ project }: { readonly project: ProjectDetail }) {
  if (project.slug === "default") return null;
  const remove = async () => {
    const text = `Its ${plural(project.eventCount, "event")}, its API keys and its rules are deleted. Programs that use the keys are refused.`;
    const title = `Delete the project ${project.name}?`;
    await confirmDelete(
      `/projects/${project.id}`,
      { title, text, typed: project.slug, done: "The project is deleted." },
      () => {
        invalidate("/projects");
        navigate("/projects");
      },
    );
  };
  return (
    <Button variant="danger" onClick={remove}>
      Delete
    </Button>
  );
}

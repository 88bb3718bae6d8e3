import { Download, FileCode2 } from "lucide";
import type { ManagedObject } from "../../../src/client/api-types.gen.ts";
import { href, SERVER_URL } from "../../app/base.ts";
import { PROJECT_FILTER, segmentFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { DriftDialog, FileBadges, isLockedNow, pageOfManaged, UnlockDialog } from "../../app/managed.tsx";
import { useProjects } from "../../app/projects.ts";
import { refresh } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { Button, type Column, choices, Link, openDialog, optionsOf, plural, Time, UserText } from "../../ui/index.ts";
import { ExportDialog } from "./export-dialog.tsx";
import { Sources } from "./sources.tsx";

const KINDS = {
  ...{ roles: "Roles", people: "People", projects: "Projects", members: "Members", channels: "Channels" },
  ...{ oncall: "On-call schedules", policies: "Policies", routes: "Routes", rules: "Rules" },
  ...{ heartbeats: "Heartbeats", receivers: "Receivers", integrations: "Integrations", webhooks: "Webhooks" },
  ...{ statusPage: "Status pages", ntfyTopics: "Topics of ntfy", ntfyAccess: "Rights on topics" },
  ...{ buckets: "Buckets", jobs: "Schedules" },
};

const FILTERS = {
  state: segmentFilter("State", choices({ "": "All", changed: "Changed", locked: "Locked" })),
  kind: selectFilter("Kind", optionsOf("All kinds", KINDS)),
  project: { ...PROJECT_FILTER, parameter: "project" },
};

function ProjectName({ slug }: { readonly slug: string | null }) {
  const project = useProjects().find((each) => each.slug === slug);
  if (slug === null) return <span class="muted">server</span>;
  return <UserText>{project?.name ?? slug}</UserText>;
}

const COLUMNS: readonly Column<ManagedObject>[] = [
  {
    label: "Object",
    // A project has one of some kinds, without a name.
    cell: ({ name, kind, noun }) => <UserText>{name === kind ? noun : name}</UserText>,
    card: "title",
  },
  { label: "Kind", cell: ({ noun }) => noun, card: "aside", width: "min" },
  { label: "Project", cell: ({ project }) => <ProjectName slug={project} />, priority: 2 },
  { label: "File", cell: (managed) => <FileBadges managed={managed} />, card: "text", width: "wide" },
  { label: "Applied", cell: ({ appliedAt }) => <Time at={appliedAt} />, align: "end", priority: 3 },
];

const EMPTY = {
  icon: FileCode2,
  title: "Nothing is in configuration files",
  text: (
    <>
      Export what is stored, keep the files where your team reviews changes, and apply them:{" "}
      <code>prism plan -f oncall</code> shows what would change, <code>prism apply -f oncall</code> stores it. What
      files own is listed here. <Link href={`${SERVER_URL}/docs/cli-configuration`}>Manual</Link>
    </>
  ),
  command: "prism export config --out oncall",
};

/** What configuration files own, and what was changed by hand since. */
export default function Configuration() {
  const list = useListOf<ManagedObject, typeof FILTERS>("/configuration/managed", FILTERS, { limit: undefined });
  const project = useProjects().find(({ id }) => id === list.values.project)?.slug;
  useRefresh(() => refresh("/configuration"), IDLE_MS, IDLE_MS);
  return (
    <ListPage<ManagedObject>
      of={list}
      title="Configuration"
      label="Objects in configuration files"
      subtitle={subtitleOf(list.items, list.isFiltered)}
      noun="object"
      columns={COLUMNS}
      rowKey={({ kind, id }) => `${kind} ${id}`}
      rowHref={pageOfManaged}
      rowTone={({ isDrifted }) => (isDrifted ? "warn" : undefined)}
      rowActions={(managed) => [
        managed.isDrifted && {
          label: "Show changes",
          onSelect: () => openDialog(<DriftDialog managed={managed} />),
        },
        managed.mayUnlock &&
          isLockedNow(managed) && { label: "Unlock", onSelect: () => openDialog(<UnlockDialog of={managed} />) },
      ]}
      actions={
        <>
          <Button href={href(`/policies/routes${project === undefined ? "" : `?project=${project}`}`)}>
            Who would be paged?
          </Button>
          <Button variant="primary" icon={Download} onClick={() => openDialog(<ExportDialog />)}>
            Export
          </Button>
        </>
      }
      empty={EMPTY}
    >
      <Sources />
    </ListPage>
  );
}

function subtitleOf(items: readonly ManagedObject[] | undefined, isFiltered: boolean): string {
  if (!items || (items.length === 0 && !isFiltered)) return "What configuration files own, and what was changed since.";
  const drifted = items.filter(({ isDrifted }) => isDrifted).length;
  const changed = drifted === 0 ? "none" : drifted === items.length ? "all" : String(drifted);
  const shown = isFiltered ? " shown" : " in configuration files";
  return `${plural(items.length, "object")}${shown}; ${changed} of them changed by hand since.`;
}

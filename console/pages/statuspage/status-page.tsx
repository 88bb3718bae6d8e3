import "./status-page.css";
import { ExternalLink } from "lucide";
import type { StatusPage as StatusPageView } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { SERVER_URL } from "../../app/base.ts";
import { ConflictBanner, useDraft } from "../../app/draft.tsx";
import { LockedForm, ManagedBadge, ManagedNotice } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { useQueryState, useReplacing } from "../../app/navigate.ts";
import { useProjects } from "../../app/projects.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { statusPage as described } from "../../forms/status-page.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Banner, Button, Card, Form, Loaded, Page, plural, Select, toast } from "../../ui/index.ts";
import { ComponentsEditor } from "./components-editor.tsx";
import { Notices } from "./notices.tsx";
import { Preview } from "./preview.tsx";
import { type Document, documentOf, STATES } from "./status-types.ts";

/** The public status page of a project. */
export function StatusPage() {
  const projects = useProjects();
  const [chosen, choose] = useQueryState("project");
  const chooseProject = useReplacing(choose);
  const project = projects.find(({ id, slug }) => id === chosen || slug === chosen) ?? projects[0];
  const projectId = project?.id ?? "default";
  const query = useGet<StatusPageView>("/status-page", { projectId });
  const address = `${SERVER_URL}/status/${project?.slug ?? "default"}`;
  const view = query.data;
  return (
    <Page
      title="Status page"
      badge={view && <ManagedBadge kind="statusPage" id={view.projectId} />}
      subtitle={subtitleOf(view)}
      actions={
        view?.enabled ? (
          <Button icon={ExternalLink} href={address}>
            Open the page
          </Button>
        ) : undefined
      }
    >
      {projects.length > 1 && (
        <Select
          label="Project"
          value={projectId}
          onChange={chooseProject}
          options={projects.map(({ id, name }) => ({ value: id, label: name }))}
        />
      )}
      <Loaded query={query}>
        {(data) => <Editor key={data.projectId} view={data} slug={project?.slug ?? "default"} reload={query.reload} />}
      </Loaded>
    </Page>
  );
}

function subtitleOf(view: StatusPageView | undefined): string {
  if (!view) return "What visitors see of the state of a project.";
  if (!view.enabled) return "Off: its address answers 404.";
  const count = view.groups.flatMap(({ components }) => components).length;
  return `${STATES[view.state].text} · ${plural(count, "component")} · ${plural(view.subscribers.confirmed, "subscriber")}`;
}

const SETTINGS: readonly FieldOf<Document>[] = [
  "enabled",
  "title",
  { name: "description", rows: 4 },
  "timezone",
  { name: "historyDays", label: "History", suffix: "days" },
  "showIncidents",
  "showMaintenance",
  "subscriptions",
];

interface EditorProps {
  readonly view: StatusPageView;
  readonly slug: string;
  readonly reload: () => void;
}

function Editor({ view, slug, reload }: EditorProps) {
  const edit = useDraft<StatusPageView, Document>({
    stored: view,
    draftOf: documentOf,
    isChanged: (before, after) => JSON.stringify(before) !== JSON.stringify(after),
    reload,
  });
  const { draft, setDraft } = edit;
  const mayWrite = canInProject("policies:write") === true;
  const set = (change: Partial<Document>): void => setDraft({ ...draft, ...change });
  const edited = editedOf<Document>(described, draft, set);
  const save = async (replaced?: StatusPageView) => {
    const query = { projectId: view.projectId };
    const isSaved = await edit.save((extra) => api.put<StatusPageView>("/status-page", draft, query, extra), replaced);
    if (!isSaved) return;
    toast.ok(draft.enabled ? "Saved. Visitors see it now." : "Saved.");
    invalidate("/status-page");
  };
  return (
    <>
      {mayWrite && <ManagedNotice kind="statusPage" id={view.projectId} />}
      <div class="two">
        <Form onSubmit={() => save()} label="Status page">
          <LockedForm kind="statusPage" id={view.projectId}>
            <ConflictBanner edit={edit} mine={{ label: "Replace it with mine", onClick: () => save(view) }} />
            <Card title="Page">
              <div class="stack">
                <Fields of={edited} show={SETTINGS} />
                {draft.subscriptions && !view.canSubscribe && (
                  <Banner tone="warn">
                    Visitors cannot subscribe yet: the operator has not set {view.subscriptionsLack.join(", ")}.
                  </Banner>
                )}
              </div>
            </Card>
            <ComponentsEditor groups={draft.groups} onChange={(groups) => set({ groups })} />
            {mayWrite && <SubmitButton>Save</SubmitButton>}
          </LockedForm>
        </Form>
        <div class="stack">
          <Preview view={view} draft={draft} slug={slug} />
          <Notices projectId={view.projectId} mayWrite={mayWrite} />
        </div>
      </div>
    </>
  );
}

import "./policies.css";
import { Trash2 } from "lucide";
import { Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, PrismError } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate, useLeaveGuard, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useProjectChoice } from "../../app/project-choice.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { Banner, Button, confirm, Form, formatRelative, Menu, Page, Tabs, toast } from "../../ui/index.ts";
import { PolicyForm } from "./policy-form.tsx";
import {
  changedMembers,
  type Definition,
  definitionOf,
  EMPTY,
  LABELS,
  type Policy,
  problemOf,
} from "./policy-types.ts";
import { PolicyVersions } from "./policy-versions.tsx";

export function NewPolicy() {
  const [project] = useProjectChoice();
  const [draft, setDraft] = useState<Definition>(EMPTY);
  const problem = problemOf(draft);
  const create = async () => {
    const made = await api.post<Policy>("/policies", { projectId: project, ...draft });
    invalidate("/policies");
    toast.ok(`“${made.name}” is saved. Routes can name it now.`);
    navigate(`/policies/${made.id}`, { replace: true });
  };
  return (
    <Page
      title="New policy"
      subtitle="Steps run in order until a person acknowledges the incident."
      breadcrumb={[{ label: "Policies", href: href("/policies") }]}
    >
      <Form onSubmit={create} label="Policy">
        <PolicyForm draft={draft} onChange={setDraft} projectId={project} readOnly={false} />
        <div class="inline">
          <Button variant="primary" type="submit" disabled={problem !== undefined}>
            Create
          </Button>
          <span class="muted" role="status">
            {problem}
          </span>
        </div>
      </Form>
    </Page>
  );
}

export function PolicyPage({ params }: PageProps) {
  const query = useGet<Policy>(`/policies/${encodeURIComponent(params["id"] ?? "")}`);
  return (
    <LoadedPage title="Policy" query={query}>
      {(policy) => <Shown key={policy.id} policy={policy} />}
    </LoadedPage>
  );
}

function Shown({ policy }: { readonly policy: Policy }) {
  const [tab, setTab] = useQueryState("tab", "edit");
  const isWritable = canInProject("policies:write") === true;
  return (
    <Page
      title={policy.name}
      breadcrumb={[{ label: "Policies", href: href("/policies") }]}
      subtitle={
        policy.updatedAt === null
          ? "The built-in policy of the project. Open incidents keep the version with which they started."
          : `Changed ${formatRelative(policy.updatedAt)}. Open incidents keep the version with which they started.`
      }
      actions={isWritable && policy.name !== "default" ? <Actions policy={policy} /> : undefined}
      tabs={
        <Tabs
          label="Parts of the policy"
          value={tab === "versions" ? "versions" : "edit"}
          onChange={setTab}
          tabs={[
            { value: "edit", label: isWritable ? "Edit" : "Definition" },
            { value: "versions", label: "Versions", count: policy.version },
          ]}
        />
      }
    >
      {tab === "versions" ? (
        <PolicyVersions policy={policy} isWritable={isWritable} />
      ) : (
        <Editor policy={policy} readOnly={!isWritable} />
      )}
    </Page>
  );
}

function Actions({ policy }: { readonly policy: Policy }) {
  const remove = async () => {
    const text = "Its open incidents continue. A policy that routes name cannot be deleted.";
    await confirmDelete(`/policies/${policy.id}`, { title: `Delete “${policy.name}”?`, text }, () => {
      invalidate("/policies");
      navigate("/policies");
    });
  };
  return <Menu label="More actions" items={[{ label: "Delete", icon: Trash2, danger: true, onSelect: remove }]} />;
}

/** Saves with the version that the edits started from: a newer one is shown first. */
function Editor({ policy, readOnly }: { readonly policy: Policy; readonly readOnly: boolean }) {
  const [base, setBase] = useState(policy);
  const [draft, setDraft] = useState<Definition>(() => definitionOf(policy));
  const [hasConflict, setConflict] = useState(false);
  const changed = changedMembers(definitionOf(base), draft);
  const isDirty = changed.length > 0 && !readOnly;
  const problem = problemOf(draft);
  const start = (from: Policy) => {
    setBase(from);
    setDraft(definitionOf(from));
    setConflict(false);
  };
  useEffect(() => {
    if (policy.version !== base.version && !isDirty) start(policy);
  }, [policy]);
  useLeaveGuard(isDirty ? () => confirm({ title: "Leave without saving?", action: "Leave" }) : null);
  const save = async () => {
    const changes = Object.fromEntries(changed.map((member) => [member, draft[member]]));
    const headers = { "If-Match": `"${base.version}"` };
    try {
      start(await api.patch<Policy>(`/policies/${base.id}`, changes, { headers }));
      invalidate("/policies");
      toast.ok("Saved. Incidents that are open keep their version.");
    } catch (error) {
      if (!(error instanceof PrismError) || error.code !== "VERSION_CONFLICT") throw error;
      invalidate(`/policies/${base.id}`);
      setConflict(true);
    }
  };
  const keepMine = () => {
    const mine = Object.fromEntries(changed.map((member) => [member, draft[member]]));
    setBase(policy);
    setDraft({ ...definitionOf(policy), ...mine });
    setConflict(false);
  };
  return (
    <Form onSubmit={save} label="Policy">
      {hasConflict && policy.version !== base.version && (
        <Banner
          tone="warn"
          title={`Version ${policy.version} was saved meanwhile`}
          action={
            <>
              <Button small onClick={() => start(policy)}>
                Show theirs
              </Button>
              <Button small onClick={keepMine}>
                Keep mine on top
              </Button>
            </>
          }
        >
          You started from version {base.version}. Yours changes {changed.map((member) => LABELS[member]).join(", ")}.
        </Banner>
      )}
      <PolicyForm draft={draft} onChange={setDraft} projectId={base.projectId} readOnly={readOnly} />
      {isDirty ? (
        <div class="inline">
          <Button variant="primary" type="submit" disabled={problem !== undefined}>
            Save
          </Button>
          <Button onClick={() => start(policy)}>Discard</Button>
          <span class="muted" role="status">
            {problem ?? `Changed: ${changed.map((member) => LABELS[member]).join(", ")}`}
          </span>
        </div>
      ) : (
        <Fragment />
      )}
    </Form>
  );
}

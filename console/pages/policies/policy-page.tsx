import type { Policy } from "../../../src/client/api-types.gen.ts";
import "./policies.css";
import { Trash2 } from "lucide";
import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { ManagedBadge, ManagedNotice, useLock } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useProjectChoice } from "../../app/project-choice.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { Button, Form, formatRelative, Menu, Page, Tabs, toast } from "../../ui/index.ts";
import { Editor } from "./policy-editor.tsx";
import { PolicyForm } from "./policy-form.tsx";
import { PolicyLine } from "./policy-line.tsx";
import { EMPTY, type PolicyDefinition, problemOf } from "./policy-types.ts";
import { PolicyVersions } from "./policy-versions.tsx";

export function NewPolicy() {
  const [project] = useProjectChoice();
  const [draft, setDraft] = useState<PolicyDefinition>(EMPTY);
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
      <div class="stack">
        <PolicyLine projectId={project} policy={undefined} draft={draft} isDirty />
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
      </div>
    </Page>
  );
}

export function PolicyPage({ params }: PageProps) {
  const query = useGet<Policy>(`/policies/${encodeURIComponent(params["id"] ?? "")}`);
  return (
    <LoadedPage title="Policy" query={query} managedAs="policies">
      {(policy) => <Shown policy={policy} />}
    </LoadedPage>
  );
}

function Shown({ policy }: { readonly policy: Policy }) {
  const [tab, setTab] = useQueryState("tab", "edit");
  const isLocked = useLock("policies", policy.id);
  const isWritable = canInProject("policies:write") === true;
  return (
    <Page
      title={policy.name}
      breadcrumb={[{ label: "Policies", href: href("/policies") }]}
      badge={<ManagedBadge kind="policies" id={policy.id} />}
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
      {isWritable && <ManagedNotice kind="policies" id={policy.id} />}
      {tab === "versions" && <PolicyVersions policy={policy} isWritable={isWritable && !isLocked} />}
      {/* Stays: it may have unsaved edits. */}
      <div hidden={tab === "versions"}>
        <Editor policy={policy} readOnly={!isWritable || isLocked} />
      </div>
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

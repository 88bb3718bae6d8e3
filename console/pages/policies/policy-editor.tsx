import { Fragment } from "preact";
import type { Policy } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { ConflictBanner, useDraft } from "../../app/draft.tsx";
import { invalidate } from "../../app/query.ts";
import { Button, Form, toast } from "../../ui/index.ts";
import { PolicyForm } from "./policy-form.tsx";
import { PolicyLine } from "./policy-line.tsx";
import { changedMembers, definitionOf, LABELS, problemOf } from "./policy-types.ts";

/** Saves with the version that the edits started from: a newer one is shown first. */
export function Editor({ policy, readOnly }: { readonly policy: Policy; readonly readOnly: boolean }) {
  const edit = useDraft({
    stored: policy,
    draftOf: definitionOf,
    isChanged: (before, after) => changedMembers(before, after).length > 0 && !readOnly,
    reload: () => invalidate(`/policies/${policy.id}`),
  });
  const { base, draft, setDraft, isDirty, start } = edit;
  const changed = changedMembers(definitionOf(base), draft);
  const changes = Object.fromEntries(changed.map((member) => [member, draft[member]]));
  const labels = changed.map((member) => LABELS[member]).join(", ");
  const problem = problemOf(draft);
  const save = async () => {
    const isSaved = await edit.save((extra) => api.patch<Policy>(`/policies/${base.id}`, changes, extra));
    if (!isSaved) return;
    invalidate("/policies");
    toast.ok("Saved. Incidents that are open keep their version.");
  };
  const keepMine = () => start(policy, { ...definitionOf(policy), ...changes });
  return (
    <div class="stack">
      <PolicyLine projectId={base.projectId} policy={base.id} draft={draft} isDirty={isDirty} key={base.version} />
      <Form onSubmit={save} label="Policy">
        <ConflictBanner edit={edit} mine={{ label: "Keep mine on top", onClick: keepMine }}>
          {` Yours changes ${labels}.`}
        </ConflictBanner>
        <PolicyForm draft={draft} onChange={setDraft} projectId={base.projectId} readOnly={readOnly} />
        {isDirty ? (
          <div class="inline">
            <Button variant="primary" type="submit" disabled={problem !== undefined}>
              Save
            </Button>
            <Button onClick={() => start(policy)}>Discard</Button>
            <span class="muted" role="status">
              {problem ?? `Changed: ${labels}`}
            </span>
          </div>
        ) : (
          <Fragment />
        )}
      </Form>
    </div>
  );
}

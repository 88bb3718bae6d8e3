import { api, type Page } from "../../../app/api.ts";
import { useProjects } from "../../../app/projects.ts";
import { useGet, useQuery } from "../../../app/query.ts";
import { Button, Dialog, formatRelative, Loaded, useClose } from "../../../ui/index.ts";
import { DefinitionDiff } from "../diff.tsx";
import { changedMembers, changesOf, definitionOf } from "../draft.ts";
import { useNames } from "../people.ts";
import type { Definition, Rule, RuleVersion } from "../types.ts";
import { MEMBER_LABELS } from "../words.ts";

export interface ConflictDialogProps {
  /** The version from which the edits started. */
  readonly base: Rule;
  readonly draft: Definition;
  /** Continues with the stored version. */
  readonly onTheirs: (stored: Rule) => void;
  /** Continues with the own changes on top of the stored version. */
  readonly onMine: (stored: Rule, merged: Definition) => void;
}

/** Another person saved the rule: their changes beside the user's own. */
export function ConflictDialog(props: ConflictDialogProps) {
  const { base } = props;
  const stored = useQuery<Rule>(`/rules/${base.id} conflict`, () => api.get<Rule>(`/rules/${base.id}`));
  return (
    <Dialog title="This rule was saved meanwhile" size="lg">
      <Loaded query={stored}>{(rule: Rule) => <Choice {...props} stored={rule} />}</Loaded>
    </Dialog>
  );
}

function Choice({ base, draft, stored, onTheirs, onMine }: ConflictDialogProps & { readonly stored: Rule }) {
  const projects = useProjects();
  const versions = useGet<Page<RuleVersion>>(`/rules/${base.id}/versions`, { limit: 1 }).data?.data;
  const author = versions?.[0]?.createdBy ?? null;
  const names = useNames([author, ...draft.targetUsers, ...stored.targetUsers, ...base.targetUsers]);
  const close = useClose();
  const mine = changesOf(base, draft);
  const merged: Definition = { ...definitionOf(stored), ...mine };
  const both = changedMembers(base, stored).filter((member) => Object.hasOwn(mine, member));
  const who = (author !== null && names.get(author)) || "Another person";
  return (
    <div class="stack">
      <p>
        {who} saved version {stored.version} {formatRelative(stored.updatedAt)}. You started from version {base.version}
        .
      </p>
      <section class="section">
        <h3>Their changes</h3>
        <DefinitionDiff before={base} after={stored} names={names} projects={projects} />
      </section>
      <section class="section">
        <h3>Your changes</h3>
        <DefinitionDiff before={base} after={draft} names={names} projects={projects} />
      </section>
      <p class="muted small">
        {both.length === 0
          ? "They are about different fields: keeping yours keeps theirs, too."
          : `Both change ${both.map((member) => MEMBER_LABELS[member]).join(", ")}: keeping yours replaces theirs there.`}
      </p>
      <div class="inline">
        <Button
          onClick={() => {
            close();
            onTheirs(stored);
          }}
        >
          Show theirs
        </Button>
        <Button
          variant="primary"
          onClick={() => {
            close();
            onMine(stored, merged);
          }}
        >
          Keep mine
        </Button>
      </div>
    </div>
  );
}

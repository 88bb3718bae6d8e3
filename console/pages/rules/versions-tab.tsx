import { useProjects } from "../../app/projects.ts";
import { useList } from "../../app/query.ts";
import { VersionList } from "../../app/version-list.tsx";
import { DefinitionDiff } from "./diff.tsx";
import { changedMembers } from "./draft.ts";
import { useNames } from "./people.ts";
import { restoreVersion } from "./rule-actions.ts";
import type { Rule, RuleVersion } from "./types.ts";
import { MEMBER_LABELS } from "./words.ts";

export function VersionsTab({ rule, isWritable }: { readonly rule: Rule; readonly isWritable: boolean }) {
  const list = useList<RuleVersion>(`/rules/${rule.id}/versions`, { limit: 20 });
  const projects = useProjects();
  const versions = list.items ?? [];
  const names = useNames(versions.flatMap(({ createdBy, definition }) => [createdBy, ...definition.targetUsers]));
  return (
    <VersionList
      list={list}
      current={rule.version}
      by={({ createdBy }) => (createdBy === null ? "The server" : (names.get(createdBy) ?? "…"))}
      note={({ definition }, previous) => {
        const labels = changedMembers(previous.definition, definition).map((member) => MEMBER_LABELS[member]);
        return labels.length > 0 && `: ${labels.join(", ")}`;
      }}
      onRestore={isWritable ? ({ version }) => restoreVersion(rule, version) : undefined}
      first="The rule was created."
    >
      {({ definition }, previous) =>
        changedMembers(previous.definition, definition).length === 0 ? (
          <p class="muted small">It equals the previous version.</p>
        ) : (
          <DefinitionDiff before={previous.definition} after={definition} names={names} projects={projects} />
        )
      }
    </VersionList>
  );
}

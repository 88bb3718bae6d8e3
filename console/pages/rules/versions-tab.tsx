import { Fragment } from "preact";
import { useProjects } from "../../app/projects.ts";
import { useList } from "../../app/query.ts";
import { Badge, Button, Card, ErrorState, Pager, Skeleton, Time } from "../../ui/index.ts";
import { DefinitionDiff } from "./diff.tsx";
import { changedMembers } from "./draft.ts";
import { useNames } from "./people.ts";
import { restoreVersion } from "./rule-actions.ts";
import type { Rule, RuleVersion } from "./types.ts";
import { MEMBER_LABELS } from "./words.ts";

/** Who saved what, newest first, each with the difference to the version before. */
export function VersionsTab({ rule, isWritable }: { readonly rule: Rule; readonly isWritable: boolean }) {
  const list = useList<RuleVersion>(`/rules/${rule.id}/versions`, { limit: 20 });
  const projects = useProjects();
  const versions = list.items ?? [];
  const names = useNames(versions.flatMap(({ createdBy, definition }) => [createdBy, ...definition.targetUsers]));
  if (list.error && !list.items) return <ErrorState error={list.error} retry={list.reload} />;
  if (!list.items) return <Skeleton kind="rows" count={4} />;
  return (
    <div class="stack">
      {versions.map((version, index) => {
        const before = versions[index + 1];
        const isCurrent = version.version === rule.version;
        const members = before ? changedMembers(before.definition, version.definition) : [];
        return (
          <Card
            key={version.version}
            title={`Version ${version.version}`}
            sub={
              <>
                {version.createdBy === null ? "The server" : (names.get(version.createdBy) ?? "…")},{" "}
                <Time at={version.createdAt} />
                {members.length > 0 && `: ${members.map((member) => MEMBER_LABELS[member]).join(", ")}`}
              </>
            }
            actions={
              isCurrent ? (
                <Badge tone="ok">current</Badge>
              ) : isWritable ? (
                <Button small onClick={() => restoreVersion(rule, version.version)}>
                  Restore
                </Button>
              ) : (
                <Fragment />
              )
            }
          >
            {before ? (
              members.length === 0 ? (
                <p class="muted small">Nothing differs from the version before.</p>
              ) : (
                <DefinitionDiff
                  before={before.definition}
                  after={version.definition}
                  names={names}
                  projects={projects}
                />
              )
            ) : (
              <p class="muted small">
                {version.version === 1 ? "The rule was created." : "The version before is on the next page."}
              </p>
            )}
          </Card>
        );
      })}
      {list.hasMore && <Pager has load={list.more} shown={versions.length} />}
    </div>
  );
}

import "../rules/rules.css";
import { api } from "../../app/api.ts";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate, useList } from "../../app/query.ts";
import { Badge, Button, Card, EmptyState, ErrorState, Pager, Skeleton, Time, toast } from "../../ui/index.ts";
import { Change } from "../rules/diff.tsx";
import { useTargetNames } from "./names.ts";
import { changedMembers, definitionOf, LABELS, memberText, type Policy, type PolicyVersion } from "./policy-types.ts";

interface Props {
  readonly policy: Policy;
  readonly isWritable: boolean;
}

/** Who saved what, newest first, each with the difference to the version before. */
export function PolicyVersions({ policy, isWritable }: Props) {
  const list = useList<PolicyVersion>(`/policies/${policy.id}/versions`, { limit: 20 });
  const versions = list.items ?? [];
  const names = useTargetNames(
    policy.projectId,
    versions.flatMap(({ definition }) => definition.steps),
  );
  if (list.error && !list.items) return <ErrorState error={list.error} retry={list.reload} />;
  if (!list.items) return <Skeleton kind="rows" count={4} />;
  if (versions.length === 0) return <EmptyState title="It was never changed" text="It is the built-in policy." />;
  const restore = async ({ definition, version }: PolicyVersion) => {
    const { name: _name, ...content } = definitionOf(definition);
    const headers = { "If-Match": `"${policy.version}"` };
    await api.patch(`/policies/${policy.id}`, content, { headers });
    invalidate("/policies");
    toast.ok(`Version ${version} is back as a new version.`);
  };
  return (
    <div class="stack">
      {versions.map((version, index) => {
        const before = versions[index + 1];
        const isCurrent = version.version === policy.version;
        const members = before ? changedMembers(before.definition, version.definition) : [];
        return (
          <Card
            key={version.version}
            title={`Version ${version.version}`}
            sub={
              <>
                <PersonName id={version.createdBy} />, <Time at={version.createdAt} />
              </>
            }
            actions={
              isCurrent ? (
                <Badge tone="ok">current</Badge>
              ) : isWritable ? (
                <Button small onClick={() => restore(version)}>
                  Restore
                </Button>
              ) : undefined
            }
          >
            {before ? (
              <dl>
                {members.map((member) => (
                  <div class="diff-row" key={member}>
                    <dt>{LABELS[member]}</dt>
                    <dd dir="auto">
                      <Change
                        before={memberText(before.definition, member, names)}
                        after={memberText(version.definition, member, names)}
                        inWords={member === "steps" || member === "description"}
                      />
                    </dd>
                  </div>
                ))}
              </dl>
            ) : (
              <p class="muted small">
                {version.version === 1 ? "The first version." : "The version before is on the next page."}
              </p>
            )}
          </Card>
        );
      })}
      {list.hasMore && <Pager has load={list.more} shown={versions.length} />}
    </div>
  );
}

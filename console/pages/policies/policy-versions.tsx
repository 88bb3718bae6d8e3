import type { Policy } from "../../../src/client/api-types.gen.ts";
import "../rules/rules.css";
import { api, ifMatch } from "../../app/api.ts";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate, useList } from "../../app/query.ts";
import { VersionList } from "../../app/version-list.tsx";
import { EmptyState, toast } from "../../ui/index.ts";
import { Change } from "../rules/diff.tsx";
import { useTargetNames } from "./names.ts";
import { changedMembers, definitionOf, LABELS, memberText, type PolicyVersion } from "./policy-types.ts";

interface Props {
  readonly policy: Policy;
  readonly isWritable: boolean;
}

export function PolicyVersions({ policy, isWritable }: Props) {
  const list = useList<PolicyVersion>(`/policies/${policy.id}/versions`, { limit: 20 });
  const steps = (list.items ?? []).flatMap(({ definition }) => definition.steps);
  const names = useTargetNames(policy.projectId, steps);
  const restore = async ({ definition, version }: PolicyVersion) => {
    const { name: _name, ...content } = definitionOf(definition);
    await api.patch(`/policies/${policy.id}`, content, ifMatch(policy));
    invalidate("/policies");
    toast.ok(`Version ${version} is back as a new version.`);
  };
  return (
    <VersionList
      list={list}
      current={policy.version}
      by={({ createdBy }) => <PersonName id={createdBy} />}
      onRestore={isWritable ? restore : undefined}
      first="The first version."
      empty={<EmptyState title="It was never changed" text="It is the built-in policy." />}
    >
      {({ definition }, previous) => (
        <dl>
          {changedMembers(previous.definition, definition).map((member) => (
            <div class="diff-row" key={member}>
              <dt>{LABELS[member]}</dt>
              <dd dir="auto">
                <Change
                  before={memberText(previous.definition, member, names)}
                  after={memberText(definition, member, names)}
                  inWords={member === "steps" || member === "description"}
                />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </VersionList>
  );
}

import type { Policy } from "../../../src/client/api-types.gen.ts";
import "./policies.css";
import { href } from "../../app/base.ts";
import { PROJECT_CHOICE, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import { useGet } from "../../app/query.ts";
import { Banner, Late, plural, UserText } from "../../ui/index.ts";
import { useTargetNames } from "./names.ts";
import { columnsOf } from "./policy-rows.tsx";
import { PolicyTabs } from "./policy-tabs.tsx";

const FILTERS = { project: PROJECT_CHOICE };

/** Who is notified of incidents, and in which order. */
export default function PoliciesPage() {
  const list = useListOf<Policy, typeof FILTERS>("/policies", FILTERS, { limit: undefined });
  const { project } = list.values;
  const names = useTargetNames(project, list.items?.flatMap(({ steps }) => steps) ?? []);
  return (
    <ListPage<Policy>
      of={list}
      title="Policies"
      subtitle={subtitleOf(list.items)}
      noun="policy"
      managedAs="policies"
      columns={columnsOf(names)}
      make={canInProject("policies:write") === true ? `/policies/new?project=${project}` : undefined}
      rowHref={({ id }) => href(`/policies/${id}`)}
      tabs={<PolicyTabs value="policies" project={project} />}
      above={<PagingWarnings project={project} />}
      empty={{ title: "There is no policy" }}
    />
  );
}

function subtitleOf(policies: readonly Policy[] | undefined): string {
  if (policies === undefined) return "Who is notified of incidents, and in which order.";
  const count = plural(policies.length, "policy", "policies");
  return `${count}: who is notified of incidents, in which order, until a person acknowledges.`;
}

interface Warnings {
  readonly data: readonly { readonly message: string }[];
}

/** Reasons why pages of the project would not arrive. */
function PagingWarnings({ project }: { readonly project: string }) {
  const query = useGet<Warnings>("/policies/warnings", { projectId: project });
  return (
    <Late query={query}>
      {({ data: warnings }) =>
        warnings.length > 0 && (
          <Banner tone="warn" title="Pages may not arrive">
            <ul>
              {warnings.map(({ message }) => (
                <li key={message}>
                  <UserText>{message}</UserText>
                </li>
              ))}
            </ul>
          </Banner>
        )
      }
    </Late>
  );
}

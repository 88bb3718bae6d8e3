import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { policy } from "../../forms/policy.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Card } from "../../ui/index.ts";
import { LABELS, type PolicyDefinition } from "./policy-types.ts";
import { StepsEditor } from "./steps-editor.tsx";

interface Props {
  readonly draft: PolicyDefinition;
  readonly onChange: (draft: PolicyDefinition) => void;
  readonly projectId: string;
  readonly readOnly: boolean;
}

const NUMBERS = ["repeat", "ackQuorum", "ackExpiresMs", "autoResolveMs"] as const;
const FLAGS = ["renotifyOnNew", "sendResolved", "fallback", "opensIncidents"] as const;
/** In place of the words of the API. */
const HINTS: Partial<Record<(typeof FLAGS)[number], { readonly hint: string }>> = {
  opensIncidents: { hint: "Whether alerts open incidents. Off: they are listed, and no one is notified" },
};

export function PolicyForm({ draft, onChange, projectId, readOnly }: Props) {
  const change = (part: Partial<PolicyDefinition>) => onChange({ ...draft, ...part });
  const edited = editedOf<PolicyDefinition>(policy, draft, change);
  const disabled = readOnly;
  const name: FieldOf<PolicyDefinition> = { name: "name", disabled: draft.name === "default" || disabled };
  return (
    <fieldset class="plain-set" disabled={readOnly}>
      <div class="two">
        <Card title="Steps" sub="They run in order while the incident is open and not acknowledged.">
          <StepsEditor
            steps={draft.steps}
            onChange={(steps) => change({ steps })}
            projectId={projectId}
            readOnly={readOnly}
          />
        </Card>
        <div class="stack">
          <Card title="Policy">
            <div class="stack">
              <Fields of={edited} show={[name, { name: "description", rows: 2, disabled }]} />
            </div>
          </Card>
          <Card title="Rounds and acknowledgements">
            <div class="stack">
              <Fields of={edited} show={NUMBERS.map((each) => ({ name: each, label: LABELS[each], disabled }))} />
              <Fields of={edited} show={FLAGS.map((each) => ({ name: each, disabled, ...HINTS[each] }))} />
            </div>
          </Card>
        </div>
      </div>
    </fieldset>
  );
}

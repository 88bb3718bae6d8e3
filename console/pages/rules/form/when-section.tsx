import { useProjects } from "../../../app/projects.ts";
import { can } from "../../../app/session.ts";
import { Fields } from "../../../forms/fields.tsx";
import { rule } from "../../../forms/rule.gen.ts";
import { editedOf } from "../../../forms/use-resource.ts";
import { Card, Field, Select } from "../../../ui/index.ts";
import { useKnownPaths } from "../data.ts";
import { ConditionField } from "./condition-field.tsx";
import type { SectionProps } from "./section-props.ts";

const NAME = { name: "name", hint: "", placeholder: "Payment over 1000 failed" } as const;
const DESCRIPTION = {
  name: "description",
  hint: "",
  placeholder: "What this means and what to do",
  rows: 2,
  autoGrow: true,
} as const;
const EVERY = "*";

/** Which events: name, project and condition. */
export function WhenSection({ draft, revision, onChange, trial, readOnly }: SectionProps) {
  const { name, description } = draft;
  const edited = editedOf(rule, { name, description }, onChange);
  const projects = useProjects();
  const paths = useKnownPaths(draft.projectId);
  const seesAll = can("projects:all") || draft.projectId === null;
  const options = [
    ...(seesAll ? [{ value: EVERY, label: "Every project" }] : []),
    ...projects.map(({ id, name }) => ({ value: id, label: name })),
  ];
  return (
    <Card title="When" sub="The events that this rule is about.">
      <div class="form">
        <div class="grid2">
          <Fields of={edited} show={[{ ...NAME, readOnly }]} />
          <Field label="Events of">
            <Select
              value={draft.projectId ?? EVERY}
              onChange={(id) => onChange({ projectId: id === EVERY ? null : id })}
              options={options}
              disabled={readOnly}
            />
          </Field>
        </div>
        <ConditionField
          key={revision}
          value={draft.condition}
          onChange={(condition) => onChange({ condition })}
          paths={paths}
          problems={trial.problems}
          readOnly={readOnly}
        />
        <Fields of={edited} show={[{ ...DESCRIPTION, readOnly }]} />
      </div>
    </Card>
  );
}

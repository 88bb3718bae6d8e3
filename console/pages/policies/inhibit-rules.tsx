import { Plus, X } from "lucide";
import { MatcherField } from "../../app/matcher-field.tsx";
import { type Matcher, matcherText, readMatcher } from "../../app/matchers.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { routing } from "../../forms/routing.gen.ts";
import { editedOf, itemsOf } from "../../forms/use-resource.ts";
import { Button, Field, IconButton, MultiCombobox } from "../../ui/index.ts";
import { type ListProps, replaced, without } from "./list-edits.ts";
import type { InhibitRule } from "./routing-types.ts";

interface InhibitProps extends ListProps<InhibitRule> {
  readonly projectId: string;
}

const RULE = itemsOf<InhibitRule>(routing, "inhibitRules");
const NAME: readonly FieldOf<InhibitRule>[] = [{ name: "name", hint: "" }];
const SIDES = [
  ["sourceMatchers", "Source", "While these fire"],
  ["targetMatchers", "Target", "these notify no one"],
] as const;

export function InhibitRules({ items, onChange, projectId, readOnly }: InhibitProps) {
  const read = (texts: readonly string[]): readonly Matcher[] =>
    texts.map((text) => readMatcher(text) ?? { name: text, operator: "=", value: "" });
  return (
    <div class="stack">
      {items.length === 0 && <p class="muted">There is no rule.</p>}
      {items.map((rule, at) => {
        const set = (part: Partial<InhibitRule>) => onChange(replaced(items, at, { ...rule, ...part }));
        return (
          <div class="route-item" key={`${at}`}>
            <div class="inline">
              <span class="grow">
                <Fields of={editedOf(RULE, { name: rule.name ?? "" }, set)} show={NAME} />
              </span>
              {!readOnly && (
                <IconButton
                  icon={X}
                  label={`Remove the rule ${rule.name ?? at + 1}`}
                  onClick={() => onChange(without(items, at))}
                />
              )}
            </div>
            <div class="grid2">
              {SIDES.map(([name, label, title]) => (
                <section class="section" key={name}>
                  <h3>{title}</h3>
                  <MatcherField
                    label={label}
                    matchers={read(rule[name])}
                    onChange={(matchers) => set({ [name]: matchers.map(matcherText) })}
                    projectId={projectId}
                  />
                </section>
              ))}
            </div>
            <Field label="If these labels are equal">
              <MultiCombobox
                values={rule.equal ?? []}
                onChange={(equal) => set({ equal })}
                options={["instance", "cluster", "job"].map((value) => ({ value, label: value }))}
                custom
                disabled={readOnly}
              />
            </Field>
          </div>
        );
      })}
      {!readOnly && (
        <div>
          <Button
            icon={Plus}
            onClick={() =>
              onChange([...items, { name: "", sourceMatchers: [], targetMatchers: [], equal: ["instance"] }])
            }
          >
            Add a rule
          </Button>
        </div>
      )}
    </div>
  );
}

import { type FieldOf, Fields } from "../../../forms/fields.tsx";
import { rule } from "../../../forms/rule.gen.ts";
import { editedOf } from "../../../forms/use-resource.ts";
import { Card, Menu, UserText } from "../../../ui/index.ts";
import { type KnownPath, useKnownPaths } from "../data.ts";
import type { Definition } from "../types.ts";
import type { SectionProps } from "./section-props.ts";

/** Texts for recipients, with the values of the chosen event. */
export function TextSection({ draft, onChange, trial, readOnly }: SectionProps) {
  const paths = useKnownPaths(draft.projectId);
  const { templateErrors, result } = trial;
  const { titleTemplate, messageTemplate } = draft;
  const insert = (name: "titleTemplate" | "messageTemplate") =>
    readOnly ? undefined : (
      <InsertMenu paths={paths} text={draft[name] ?? ""} onInsert={(text) => onChange({ [name]: text })} />
    );
  const look = { mono: true, required: false, readOnly } as const;
  const title: FieldOf<Definition> = {
    ...{ ...look, name: "titleTemplate", label: "Title", placeholder: "Payment of {{ event.amount }} failed" },
    hint: "Empty: what happened, as the event says it.",
    error: templateErrors.titleTemplate,
    action: insert("titleTemplate"),
  };
  const message: FieldOf<Definition> = {
    ...{ ...look, name: "messageTemplate", label: "Message", rows: 3, autoGrow: true },
    placeholder: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
    hint: "Empty: how bad, where, and the event's own text. Its link and level come with it.",
    error: templateErrors.messageTemplate,
    action: insert("messageTemplate"),
  };
  return (
    <Card
      title="What they read"
      sub="Leave both empty, or write templates: placeholders take their values from the event."
    >
      <div class="form">
        <Fields of={editedOf(rule, { titleTemplate, messageTemplate }, onChange)} show={[title, message]} />
        {result !== undefined && (result.title !== undefined || result.message !== undefined) && (
          <section class="rule-preview" aria-label="Preview">
            <span class="faint tiny">Preview with the chosen event</span>
            <b>
              <UserText>{result.title || draft.name}</UserText>
            </b>
            {result.message !== undefined && (
              <p>
                <UserText>{result.message}</UserText>
              </p>
            )}
          </section>
        )}
      </div>
    </Card>
  );
}

const OFFERED_PATHS = 14;

interface InsertMenuProps {
  readonly paths: readonly KnownPath[];
  readonly text: string;
  readonly onInsert: (text: string) => void;
}

function InsertMenu({ paths, text, onInsert }: InsertMenuProps) {
  const offered = paths.filter(({ types }) => !types.includes("object")).slice(0, OFFERED_PATHS);
  if (offered.length === 0) return null;
  const items = offered.map(({ path, examples }) => ({
    label: path,
    ...(examples.length === 0 ? {} : { hint: String(examples[0]).slice(0, 40) }),
    onSelect: () => onInsert(`${text}${text === "" || text.endsWith(" ") ? "" : " "}{{ ${path} }}`),
  }));
  return (
    <Menu label="Insert a value of the event" text="Insert value" variant="quiet" small items={items} align="end" />
  );
}

import { Field, Input, Select } from "../../ui/index.ts";
import { RemovableRow } from "./removable-row.tsx";
import { EFFECTS, type Effect, type Source } from "./status-types.ts";

const KINDS = [
  { value: "matchers", label: "Alerts that match" },
  { value: "tag", label: "Heartbeats with the tag" },
  { value: "heartbeats", label: "Heartbeats by id" },
] as const;
type Kind = (typeof KINDS)[number]["value"];

function kindOf({ tag, heartbeats }: Source): Kind {
  if (tag !== undefined) return "tag";
  return heartbeats === undefined ? "matchers" : "heartbeats";
}

function textOf({ tag, heartbeats, matchers = [] }: Source): string {
  return tag ?? (heartbeats ?? matchers).join(heartbeats ? " " : "\n");
}

function sourceOf(kind: Kind, text: string, effect: Effect): Source {
  if (kind === "tag") return { tag: text, effect };
  if (kind === "heartbeats") return { heartbeats: text.split(/\s+/).filter(Boolean), effect };
  return { matchers: text.split("\n"), effect };
}

interface Props {
  readonly source: Source;
  readonly onChange: (next: Source | null) => void;
}

const VALUE: Readonly<Record<Kind, { readonly label: string; readonly placeholder: string }>> = {
  matchers: { label: "Matcher", placeholder: 'service="web"' },
  tag: { label: "Tag", placeholder: "import" },
  heartbeats: { label: "Ids of heartbeats", placeholder: "id of the heartbeat" },
};

/** What decides the state of a component. */
export function SourceEditor({ source, onChange }: Props) {
  const kind = kindOf(source);
  const { effect } = source;
  const { label, placeholder } = VALUE[kind];
  return (
    <RemovableRow remove="Remove the source" onRemove={() => onChange(null)}>
      <div class="sp-source">
        <Field label="While these fire">
          <Select
            value={kind}
            options={[...KINDS]}
            onChange={(value) => onChange(sourceOf(value as Kind, "", effect))}
          />
        </Field>
        <Field label={label}>
          <Input
            mono
            placeholder={placeholder}
            value={textOf(source)}
            onChange={(text) => onChange(sourceOf(kind, text, effect))}
          />
        </Field>
        <Field label="It is shown as">
          <Select
            value={effect}
            options={EFFECTS}
            onChange={(value) => onChange({ ...source, effect: value as Effect })}
          />
        </Field>
      </div>
    </RemovableRow>
  );
}

import { Trash2 } from "lucide";
import { Field, IconButton, Input, Select } from "../../ui/index.ts";
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

/** What decides the state of a component. */
export function SourceEditor({ source, onChange }: Props) {
  const kind = kindOf(source);
  const { effect } = source;
  const placeholder = kind === "matchers" ? 'service="web"' : kind === "tag" ? "import" : "id of the heartbeat";
  return (
    <Field
      label="While these fire"
      action={<IconButton small icon={Trash2} label="Remove the source" onClick={() => onChange(null)} />}
    >
      <div class="inline">
        <Select
          small
          label="Kind of the source"
          value={kind}
          options={[...KINDS]}
          onChange={(value) => onChange(sourceOf(value as Kind, "", effect))}
        />
        <Input
          mono
          label="Matcher, tag or ids"
          placeholder={placeholder}
          value={textOf(source)}
          onChange={(text) => onChange(sourceOf(kind, text, effect))}
        />
        <Select
          small
          label="State meanwhile"
          value={effect}
          options={EFFECTS}
          onChange={(value) => onChange({ ...source, effect: value as Effect })}
        />
      </div>
    </Field>
  );
}

import { Plus, Trash2 } from "lucide";
import { Button, Card, Field, IconButton, Input, Select } from "../../ui/index.ts";
import { type Component, EFFECTS, type Effect, type Group, type Source } from "./status-types.ts";

const KINDS = [
  { value: "matchers", label: "Alerts that match" },
  { value: "tag", label: "Heartbeats with the tag" },
  { value: "heartbeats", label: "Heartbeats by id" },
] as const;
type Kind = (typeof KINDS)[number]["value"];

interface Props {
  readonly groups: readonly Group[];
  readonly onChange: (groups: readonly Group[]) => void;
}

function replaced<T>(list: readonly T[], at: number, item: T | null): T[] {
  return list.flatMap((each, i) => (i === at ? (item === null ? [] : [item]) : [each]));
}

/** Groups of components, and what decides their states. */
export function ComponentsEditor({ groups, onChange }: Props) {
  const add = (): void => onChange([...groups, { name: "", components: [{ name: "" }] }]);
  return (
    <Card
      title="Components"
      actions={
        <Button small icon={Plus} onClick={add}>
          Group
        </Button>
      }
    >
      <div class="stack">
        {groups.length === 0 && (
          <p class="muted">A component is a service as visitors know it. Add a group to start.</p>
        )}
        {groups.map((group, g) => (
          <GroupEditor key={g} group={group} onChange={(next) => onChange(replaced(groups, g, next))} />
        ))}
      </div>
    </Card>
  );
}

function GroupEditor({ group, onChange }: { readonly group: Group; readonly onChange: (next: Group | null) => void }) {
  const { name, components } = group;
  const set = (next: readonly Component[]): void => onChange({ ...group, components: next });
  return (
    <fieldset class="stack">
      <div class="inline">
        <Input
          label="Name of the group"
          placeholder="Group"
          value={name}
          onChange={(text) => onChange({ ...group, name: text })}
        />
        <IconButton icon={Trash2} label="Remove the group" onClick={() => onChange(null)} />
      </div>
      {components.map((component, c) => (
        <ComponentEditor
          key={component.id ?? c}
          component={component}
          onChange={(next) => set(replaced(components, c, next))}
        />
      ))}
      <div>
        <Button small icon={Plus} onClick={() => set([...components, { name: "" }])}>
          Component
        </Button>
      </div>
    </fieldset>
  );
}

interface ComponentProps {
  readonly component: Component;
  readonly onChange: (next: Component | null) => void;
}

function ComponentEditor({ component, onChange }: ComponentProps) {
  const { name, sources = [] } = component;
  const set = (next: readonly Source[]): void => onChange({ ...component, sources: next });
  return (
    <div class="stack s2">
      <div class="inline">
        <Input
          label="Name of the component"
          placeholder="Component"
          value={name}
          maxLength={100}
          onChange={(text) => onChange({ ...component, name: text })}
        />
        <IconButton icon={Trash2} label="Remove the component" onClick={() => onChange(null)} />
      </div>
      {sources.map((source, s) => (
        <SourceEditor key={s} source={source} onChange={(next) => set(replaced(sources, s, next))} />
      ))}
      <div>
        <Button
          small
          variant="quiet"
          icon={Plus}
          onClick={() => set([...sources, { matchers: [""], effect: "outage" }])}
        >
          Source
        </Button>
      </div>
    </div>
  );
}

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

function SourceEditor({
  source,
  onChange,
}: {
  readonly source: Source;
  readonly onChange: (next: Source | null) => void;
}) {
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

import { Plus, Trash2 } from "lucide";
import { Fields } from "../../forms/fields.tsx";
import { statusPage } from "../../forms/status-page.gen.ts";
import { editedOf, itemsOf } from "../../forms/use-resource.ts";
import { Button, Card, IconButton } from "../../ui/index.ts";
import { SourceEditor } from "./source-editor.tsx";
import type { Component, Group, Source } from "./status-types.ts";

const GROUP = itemsOf<Group>(statusPage, "groups");
const COMPONENT = itemsOf<Component>(GROUP, "components");
const GROUP_NAME = { name: "name", label: "Name of the group", placeholder: "Group" } as const;
const COMPONENT_NAME = { name: "name", label: "Name of the component", placeholder: "Component" } as const;

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
        <Fields areBare of={editedOf(GROUP, { name }, (part) => onChange({ ...group, ...part }))} show={[GROUP_NAME]} />
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
        <Fields
          areBare
          of={editedOf(COMPONENT, { name }, (part) => onChange({ ...component, ...part }))}
          show={[COMPONENT_NAME]}
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

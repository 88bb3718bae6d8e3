import { Plus } from "lucide";
import { Fields } from "../../forms/fields.tsx";
import { statusPage } from "../../forms/status-page.gen.ts";
import { editedOf, itemsOf } from "../../forms/use-resource.ts";
import { Button, Card, EmptyState } from "../../ui/index.ts";
import { RemovableRow } from "./removable-row.tsx";
import { SourceEditor } from "./source-editor.tsx";
import type { Component, Group, Source } from "./status-types.ts";

const GROUP = itemsOf<Group>(statusPage, "groups");
const COMPONENT = itemsOf<Component>(GROUP, "components");
const GROUP_NAME = { name: "name", label: "Group", placeholder: "Shop", hint: "" } as const;
const COMPONENT_FIELDS = [
  { name: "name", label: "Component", placeholder: "Website", hint: "" },
  { name: "description", label: "Description", hint: "" },
] as const;

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
      sub="A component is a service as visitors know it."
      actions={
        <Button small icon={Plus} onClick={add}>
          Group
        </Button>
      }
    >
      <div class="stack">
        {groups.length === 0 && (
          <EmptyState
            small
            title="No components"
            text="Add a group, and what visitors should know the state of."
            action={
              <Button icon={Plus} onClick={add}>
                Add a group
              </Button>
            }
          />
        )}
        {groups.map((group, g) => (
          <GroupEditor
            key={g}
            label={`Group ${g + 1}`}
            group={group}
            onChange={(next) => onChange(replaced(groups, g, next))}
          />
        ))}
      </div>
    </Card>
  );
}

interface GroupProps {
  readonly label: string;
  readonly group: Group;
  readonly onChange: (next: Group | null) => void;
}

function GroupEditor({ label, group, onChange }: GroupProps) {
  const { name, components } = group;
  const set = (next: readonly Component[]): void => onChange({ ...group, components: next });
  return (
    <div class="sp-group" role="group" aria-label={label}>
      <RemovableRow remove="Remove the group" onRemove={() => onChange(null)}>
        <Fields of={editedOf(GROUP, { name }, (part) => onChange({ ...group, ...part }))} show={[GROUP_NAME]} />
      </RemovableRow>
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
    </div>
  );
}

interface ComponentProps {
  readonly component: Component;
  readonly onChange: (next: Component | null) => void;
}

function ComponentEditor({ component, onChange }: ComponentProps) {
  const { name, description = "", sources = [] } = component;
  const set = (next: readonly Source[]): void => onChange({ ...component, sources: next });
  const edited = editedOf(COMPONENT, { name, description }, (part) => onChange({ ...component, ...part }));
  return (
    <div class="sp-component">
      <RemovableRow remove="Remove the component" onRemove={() => onChange(null)}>
        <div class="grid2">
          <Fields of={edited} show={COMPONENT_FIELDS} />
        </div>
      </RemovableRow>
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

import { useCallback } from "preact/hooks";
import { useGet } from "../../../app/query.ts";
import { can } from "../../../app/session.ts";
import { Badge, Card, Checkbox, Field, MultiCombobox } from "../../../ui/index.ts";
import { findPeople, useNames } from "../people.ts";
import type { Definition } from "../types.ts";
import { CHANNELS, type ChannelWord } from "../words.ts";
import type { SectionProps } from "./section-props.ts";

interface Role {
  readonly id: string;
  readonly name: string;
  readonly description: string;
}

/** Who is notified, and by which channels. */
export function WhoSection({ draft, onChange, readOnly }: SectionProps) {
  const roles = useGet<{ readonly data: readonly Role[] }>(can("roles:read") ? "/roles" : null).data?.data ?? [];
  const names = useNames(draft.targetUsers);
  const { projectId } = draft;
  const load = useCallback((text: string) => findPeople(text, projectId), [projectId]);
  const known = draft.targetUsers.map((id) => ({ value: id, label: names.get(id) ?? id }));
  return (
    <Card
      title="Who"
      sub={
        projectId === null
          ? "Active holders of the roles, and the people, each once."
          : "Active holders of the roles, and the people, each once; members of the project only."
      }
    >
      <div class="form">
        <div class="grid2">
          {readOnly ? (
            <Chosen label="Roles" names={draft.targetRoles} />
          ) : (
            <Field label="Roles">
              <MultiCombobox
                values={draft.targetRoles}
                onChange={(targetRoles) => onChange({ targetRoles })}
                options={roles.map(({ name, description }) => ({ value: name, label: name, hint: description }))}
                placeholder="Add a role"
              />
            </Field>
          )}
          {readOnly ? (
            <Chosen label="People" names={known.map(({ label }) => label)} />
          ) : (
            <Field label="People">
              <MultiCombobox
                values={draft.targetUsers}
                onChange={(targetUsers) => onChange({ targetUsers })}
                options={known}
                load={load}
                placeholder="Add a person"
              />
            </Field>
          )}
        </div>
        <Channels draft={draft} onChange={onChange} readOnly={readOnly} />
      </div>
    </Card>
  );
}

function Chosen({ label, names }: { readonly label: string; readonly names: readonly string[] }) {
  return (
    <div class="field">
      <span class="small strong">{label}</span>
      <div class="inline">
        {names.map((name) => (
          <Badge key={name} tone="plain">
            {name}
          </Badge>
        ))}
        {names.length === 0 && <span class="faint">none</span>}
      </div>
    </div>
  );
}

function Channels({ draft, onChange, readOnly }: Omit<SectionProps, "trial" | "revision">) {
  const offered: readonly ChannelWord[] = CHANNELS;
  const toggle = (channel: Definition["channels"][number], isOn: boolean) => {
    const rest = draft.channels.filter((each) => each !== channel);
    onChange({ channels: isOn ? [...rest, channel] : rest });
  };
  return (
    <fieldset class="radios">
      <legend>Channels</legend>
      <div class="rule-channels">
        {offered.map(({ value, label, hint }) => (
          <Checkbox
            key={value}
            checked={draft.channels.includes(value)}
            onChange={(isOn) => toggle(value, isOn)}
            label={label}
            hint={hint}
            disabled={readOnly}
          />
        ))}
      </div>
      {draft.channels.length === 0 && <p class="field-error">Choose at least one channel.</p>}
    </fieldset>
  );
}

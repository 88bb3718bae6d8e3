import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { me } from "../../app/session.ts";
import { DateTimeInput, Dialog, Field, Input, MultiCombobox, Select } from "../../ui/index.ts";
import type { Chosen } from "./calendar.tsx";
import { nameOf, type Override, type Person, type Schedule, schedulePath, type Warned } from "./oncall-types.ts";
import { showSaved } from "./saved.ts";

const EVERYONE = "*";

interface Props {
  readonly schedule: Schedule;
  /** Undefined: closed. */
  readonly chosen: Chosen | Override | undefined;
  readonly people: readonly Person[];
  readonly zone: string;
  readonly onClose: () => void;
}

/** Puts users on call for a span of time: the form of a drag on the calendar. */
export function OverrideDialog({ chosen, ...props }: Props) {
  if (!chosen) return null;
  // A focused control for dates keeps its text, so that each form starts as a new one.
  return <OverrideForm key={`${chosen.start} ${chosen.end}`} chosen={chosen} {...props} />;
}

function firstReplaced(chosen: Chosen | Override, isWriter: boolean, own: string): string {
  if (!("id" in chosen) && chosen.replaces !== undefined) return chosen.replaces;
  return isWriter ? EVERYONE : own;
}

function OverrideForm({ schedule, chosen, people, zone, onClose }: Props & { readonly chosen: Chosen | Override }) {
  const known = "id" in chosen ? chosen : undefined;
  const isWriter = canInProject("oncall:write") === true;
  const own = me.value?.id ?? "";
  const [start, setStart] = useState(new Date(chosen.start).toISOString());
  const [end, setEnd] = useState(new Date(chosen.end).toISOString());
  const [users, setUsers] = useState<readonly string[]>(known?.users ?? []);
  const [replaces, setReplaces] = useState(known ? (known.replaces ?? EVERYONE) : firstReplaced(chosen, isWriter, own));
  const [reason, setReason] = useState(known?.reason ?? "");
  const current = "id" in chosen ? people : chosen.users;
  const others = isWriter ? current : current.filter(({ id }) => id === own);
  const options = [
    ...(isWriter ? [{ value: EVERYONE, label: "Everyone on call" }] : []),
    ...others.map((person) => ({ value: person.id, label: person.id === own ? "Me" : nameOf(person) })),
    ...(!isWriter && others.length === 0 ? [{ value: own, label: "Me" }] : []),
  ];
  const save = async () => {
    const body = { start, end, users, replaces: replaces === EVERYONE ? null : replaces, reason };
    const path = `${schedulePath(schedule.id)}/overrides`;
    const saved = known ? await api.put<Warned>(`${path}/${known.id}`, body) : await api.post<Warned>(path, body);
    showSaved("Override saved.", saved);
    onClose();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={known ? "Change the override" : "New override"}
      subtitle={`Times in ${zone}.`}
      onSubmit={save}
      action="Save override"
      blocked={users.length === 0}
    >
      <div class="grid2">
        <Field label="From" required>
          <DateTimeInput value={start} onChange={setStart} zone={zone} />
        </Field>
        <Field label="Until" required>
          <DateTimeInput value={end} onChange={setEnd} zone={zone} />
        </Field>
      </div>
      <Field label="On call" hint="They are on call for this time." required>
        <MultiCombobox
          values={users}
          onChange={setUsers}
          options={people.map((person) => ({ value: person.id, label: nameOf(person) }))}
          load={memberFinder(schedule.projectId)}
          placeholder="Name"
        />
      </Field>
      <Field label="In place of" hint={isWriter ? undefined : "You may replace yourself."}>
        <Select value={replaces} onChange={setReplaces} options={options} />
      </Field>
      <Field label="Reason" optional>
        <Input value={reason} onChange={setReason} maxLength={200} placeholder="Holiday" />
      </Field>
    </Dialog>
  );
}

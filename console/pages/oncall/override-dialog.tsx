import { useMemo, useState } from "preact/hooks";
import type {
  CreateOnCallOverride,
  OnCallOverride,
  OnCallSchedule,
  OnCallUser,
} from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useFieldErrors } from "../../app/field-errors.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { onCallOverride } from "../../forms/on-call-override.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { DateTimeInput, Dialog, Field, MultiCombobox, Select } from "../../ui/index.ts";
import { usersOf } from "./bars.ts";
import type { Chosen } from "./calendar-grid.tsx";
import { type FinalShift, nameOf, schedulePath, type Warned } from "./oncall-types.ts";
import { showSaved } from "./saved.ts";

const EVERYONE = "*";
const CANNOT_SERVE = "Only active members of the project can be on call. Choose someone else.";

interface Props {
  readonly schedule: Pick<OnCallSchedule, "id" | "projectId">;
  readonly chosen: Chosen | OnCallOverride;
  readonly people: readonly OnCallUser[];
  readonly zone: string;
}

function firstReplaced(chosen: Chosen | OnCallOverride, isWriter: boolean, own: string): string {
  if (!("id" in chosen) && chosen.replaces !== undefined) return chosen.replaces;
  return isWriter ? EVERYONE : own;
}

/** Puts users on call for a span of time: the form of a drag on the calendar. */
export function OverrideDialog({ schedule, chosen, people, zone }: Props) {
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
  // Users on call in the next days can serve; that is not certain of others in the schedule.
  const shifts = useGet<{ data: readonly FinalShift[] }>(`${schedulePath(schedule.id)}/final-shifts`).data?.data;
  const serving = usersOf<OnCallUser>(shifts ?? []);
  const named = [
    ...serving,
    ...people.filter(({ id }) => users.includes(id) && !serving.some((each) => each.id === id)),
  ];
  const find = useMemo(() => memberFinder(schedule.projectId), [schedule.projectId]);
  const errors = useFieldErrors(["start", "end", "users", "replaces"], {
    textOf: (message, at) => (at.startsWith("users") ? CANNOT_SERVE : message),
  });
  const save = async () => {
    const body = { start, end, users, replaces: replaces === EVERYONE ? null : replaces, reason };
    const path = `${schedulePath(schedule.id)}/overrides`;
    const saved = await errors.attempt(() =>
      known ? api.put<Warned>(`${path}/${known.id}`, body) : api.post<Warned>(path, body),
    );
    if (!saved) return false;
    const isOver = Date.parse(end) <= Date.now();
    return showSaved(isOver ? "Override saved. Its time is over, so it changes nothing." : "Override saved.", saved);
  };
  const why = editedOf<CreateOnCallOverride>(onCallOverride, { reason }, (next) => setReason(next.reason ?? ""));
  return (
    <Dialog
      title={known ? "Change the override" : "New override"}
      subtitle={`Times in ${zone}.`}
      onSubmit={save}
      action="Save override"
      blocked={users.length === 0}
    >
      <div class="grid2">
        <Field label="From" error={errors.of("start")} required>
          <DateTimeInput value={start} onChange={setStart} zone={zone} />
        </Field>
        <Field label="Until" error={errors.of("end")} required>
          <DateTimeInput value={end} onChange={setEnd} zone={zone} />
        </Field>
      </div>
      <Field label="On call" error={errors.of("users")} required>
        <MultiCombobox
          inline
          values={users}
          onChange={setUsers}
          options={named.map((person) => ({
            value: person.id,
            label: person.id === own ? `${nameOf(person)} (you)` : nameOf(person),
          }))}
          load={find}
          placeholder="Find a person"
        />
      </Field>
      <Field
        label="In place of"
        error={errors.of("replaces")}
        hint={isWriter ? undefined : "You may replace yourself."}
      >
        <Select value={replaces} onChange={setReplaces} options={options} />
      </Field>
      <Fields of={why} show={[{ name: "reason", placeholder: "Holiday" }]} />
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import type { CreateOnCallDaysOff, OnCallDaysOff, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { onCallDaysOff } from "../../forms/on-call-days-off.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Combobox, DateInput, Dialog, Field, plural, toast } from "../../ui/index.ts";
import { nameOf } from "./oncall-types.ts";

interface FormProps {
  readonly known?: OnCallDaysOff;
  readonly projectId: string | undefined;
  readonly people: readonly OnCallUser[];
}

export function DaysOffForm({ known, projectId, people }: FormProps) {
  const own = me.value?.id ?? "";
  const [userId, setUser] = useState(known?.user.id ?? own);
  const [firstDay, setFirst] = useState(known?.firstDay ?? "");
  const [lastDay, setLast] = useState(known?.lastDay ?? "");
  const [note, setNote] = useState(known?.note ?? "");
  const others = people.filter(({ id }) => id !== own).map((each) => ({ value: each.id, label: nameOf(each) }));
  const save = async () => {
    const days = { firstDay, lastDay: lastDay || firstDay, note };
    const { warnings = [] } = known
      ? await api.put<OnCallDaysOff>(`/oncall/days-off/${known.id}`, days)
      : await api.post<OnCallDaysOff>("/oncall/days-off", userId === own ? days : { ...days, userId });
    invalidate("/oncall");
    toast.ok(
      warnings.length === 0
        ? "Days off saved."
        : `Days off saved. On call ${plural(warnings.length, "time")} on these days: find a substitute.`,
    );
  };
  const told = editedOf<CreateOnCallDaysOff>(onCallDaysOff, { note }, (next) => setNote(next.note ?? ""));
  return (
    <Dialog
      title={known ? "Change the days off" : "Add days off"}
      subtitle="The user is paged until a swap or an override is taken."
      onSubmit={save}
      action="Save days off"
      blocked={firstDay === ""}
    >
      {!known && projectId !== undefined && canInProject("oncall:write") === true && (
        <Field label="Who" required>
          <Combobox
            value={userId}
            onChange={setUser}
            options={[{ value: own, label: "Me" }, ...others]}
            load={memberFinder(projectId)}
          />
        </Field>
      )}
      <div class="grid2">
        <Field label="First day" required>
          <DateInput value={firstDay} onChange={setFirst} />
        </Field>
        <Field label="Last day" hint="Empty: the first day">
          <DateInput value={lastDay} onChange={setLast} min={firstDay} />
        </Field>
      </div>
      <Fields of={told} show={["note"]} />
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import type {
  CreateOnCallDaysOff,
  OnCallConflict,
  OnCallDaysOff,
  OnCallUser,
} from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { onCallDaysOff } from "../../forms/on-call-days-off.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  Combobox,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
  openDialog,
  plural,
  toast,
  UserText,
} from "../../ui/index.ts";
import { daysLabel } from "./calendar-time.ts";
import { nameOf } from "./oncall-types.ts";
import { SpanText } from "./span-text.tsx";

interface ListProps {
  /** Days off of all users of this schedule; undefined: the user's own. */
  readonly scheduleId?: string;
  /** Whose members managers may choose; undefined: the user's own only. */
  readonly projectId?: string;
  readonly people?: readonly OnCallUser[];
}

/** Who is away, with forms to enter and change it. */
export function DaysOffCard({ scheduleId, projectId, people = [] }: ListProps) {
  const [to] = useState(() => new Date(Date.now() + 365 * 86_400_000).toISOString());
  const path = scheduleId === undefined ? "/oncall/days-off" : `/oncall/schedules/${scheduleId}/days-off`;
  const list = useGet<{ data: readonly OnCallDaysOff[] }>(path, scheduleId === undefined ? {} : { to });
  const columns: readonly Column<OnCallDaysOff>[] = [
    { label: "User", cell: ({ user }) => <UserText>{nameOf(user)}</UserText>, card: "title" },
    {
      label: "Away",
      cell: ({ firstDay, lastDay, note }) => (
        <div>
          <span class="num">{daysLabel(firstDay, lastDay)}</span>
          {note && (
            <div class="muted small">
              <UserText lines={1}>{note}</UserText>
            </div>
          )}
        </div>
      ),
    },
  ];
  return (
    <Card
      title="Days off"
      sub="Whole days of the user's time zone. The user stays on call until a swap or an override is taken."
      actions={<Button onClick={() => openDialog(<DaysOffForm {...{ projectId, people }} />)}>Add days off</Button>}
      flush
    >
      <DataTable<OnCallDaysOff>
        bare
        label="Days off"
        list={list}
        columns={scheduleId === undefined ? columns.slice(1) : columns}
        rowActions={(days) =>
          days.note === null
            ? []
            : [
                {
                  label: "Change",
                  onSelect: () => openDialog(<DaysOffForm known={days} {...{ projectId, people }} />),
                },
                { label: "Delete", onSelect: () => remove(days), variant: "quiet" },
              ]
        }
        empty={<EmptyState small title="No days off" text="Days on which users are away appear here." />}
      />
    </Card>
  );
}

async function remove({ id, user, firstDay, lastDay }: OnCallDaysOff): Promise<void> {
  const text = `${nameOf(user)}, ${daysLabel(firstDay, lastDay)}. Nothing else changes.`;
  await confirmDelete(`/oncall/days-off/${id}`, { title: "Delete the days off?", text }, () => invalidate("/oncall"));
}

interface FormProps {
  readonly known?: OnCallDaysOff;
  readonly projectId: string | undefined;
  readonly people: readonly OnCallUser[];
}

function DaysOffForm({ known, projectId, people }: FormProps) {
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
          <Input type="date" value={firstDay} onChange={setFirst} />
        </Field>
        <Field label="Last day" hint="Empty: the first day">
          <Input type="date" value={lastDay} onChange={setLast} min={firstDay} />
        </Field>
      </div>
      <Fields of={told} show={["note"]} />
    </Dialog>
  );
}

interface ConflictsProps {
  readonly conflicts: readonly OnCallConflict[];
  readonly days: number;
  readonly zone: string;
  /** Opens a form of a request for a substitute, or of an override. */
  readonly onSwap: (conflict: OnCallConflict) => void;
  readonly onOverride?: (conflict: OnCallConflict) => void;
  /** They are those of the reader. */
  readonly isOwn?: boolean;
}

/** Who is on call while away, with the ways to find a substitute. Nothing without conflicts. */
export function ConflictsCard({ conflicts, days, zone, onSwap, onOverride, isOwn = false }: ConflictsProps) {
  const columns: readonly Column<OnCallConflict>[] = [
    isOwn
      ? { label: "Schedule", cell: ({ name }) => <UserText>{name}</UserText>, card: "title" }
      : { label: "User", cell: ({ user }) => <UserText>{nameOf(user)}</UserText>, card: "title" },
    {
      label: "On call",
      cell: (row) => <SpanText span={row} zone={zone} />,
    },
    {
      label: "Away",
      cell: ({ firstDay, lastDay }) => <span class="num">{daysLabel(firstDay, lastDay)}</span>,
      priority: 2,
    },
    {
      label: "Swap",
      cell: ({ swapId }) => (swapId === null ? <span class="faint">—</span> : <Badge tone="warn">asked</Badge>),
      card: "aside",
    },
  ];
  const mayChange = canInProject("oncall:write") === true;
  if (conflicts.length === 0) return null;
  return (
    <Card
      title="On call while away"
      sub={`${plural(conflicts.length, "time")} within ${days} days that no swap or override covers, in ${zone}.`}
      tone="warn"
      flush
    >
      <DataTable<OnCallConflict>
        bare
        label="On call while away"
        rows={conflicts}
        rowKey={({ scheduleId, daysOffId, start }) => `${scheduleId} ${daysOffId} ${start}`}
        columns={columns}
        rowActions={(conflict) => {
          if (conflict.user.id !== me.value?.id && !mayChange) return null;
          return [
            conflict.swapId === null && { label: "Ask for a swap", onSelect: () => onSwap(conflict) },
            onOverride && { label: "Override", onSelect: () => onOverride(conflict) },
          ];
        }}
      />
    </Card>
  );
}

import { useState } from "preact/hooks";
import type { OnCallDaysOff, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { Button, Card, type Column, DataTable, EmptyState, openDialog, UserText } from "../../ui/index.ts";
import { daysLabel } from "./calendar-time.ts";
import { DaysOffForm } from "./days-off-form.tsx";
import { nameOf } from "./oncall-types.ts";

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

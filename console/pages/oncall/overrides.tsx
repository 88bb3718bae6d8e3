import type { OnCallOverride } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useList } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Badge, Card, type Column, DataTable, EmptyState, openDialog, UserText } from "../../ui/index.ts";
import { spanLabel } from "./calendar-time.ts";
import { type ChangesProps, isOver, namer } from "./change-parts.ts";
import { namesOf, schedulePath } from "./oncall-types.ts";
import { OverrideDialog } from "./override-dialog.tsx";
import { SpanText } from "./span-text.tsx";

export function Overrides({ schedule, people }: ChangesProps) {
  const path = `${schedulePath(schedule.id)}/overrides`;
  const list = useList<OnCallOverride>(path, { limit: 50 });
  const zone = schedule.timezone;
  const name = namer(people);
  const remove = async (override: OnCallOverride) => {
    const text = `${spanLabel(Date.parse(override.start), Date.parse(override.end), zone)}. The rotations apply again.`;
    await confirmDelete(`${path}/${override.id}`, { title: "Delete the override?", text }, () => invalidate("/oncall"));
  };
  const columns: readonly Column<OnCallOverride>[] = [
    {
      label: "On call",
      cell: ({ users }) => <UserText>{namesOf(users.map((id) => ({ id, name: name(id), username: null })))}</UserText>,
      card: "title",
    },
    {
      label: "When",
      cell: (row) => <SpanText span={row} zone={zone} />,
    },
    { label: "In place of", cell: ({ replaces }) => (replaces === null ? "everyone" : name(replaces)), priority: 2 },
    { label: "Reason", cell: ({ reason }) => <UserText lines={1}>{reason}</UserText>, priority: 2 },
    {
      label: "State",
      cell: (override) => (
        <Badge tone={isOver(override) ? "plain" : "info"}>{isOver(override) ? "over" : "planned"}</Badge>
      ),
      card: "aside",
    },
  ];
  return (
    <Card title="Overrides" sub={`Times in ${zone}.`} flush>
      <DataTable<OnCallOverride>
        bare
        label="Overrides"
        list={list}
        columns={columns}
        rowActions={(override) =>
          isOver(override) || !(canInProject("oncall:write") || override.replaces === me.value?.id)
            ? []
            : [
                {
                  label: "Change",
                  onSelect: () => openDialog(<OverrideDialog {...{ schedule, people, zone }} chosen={override} />),
                },
                { label: "Delete", onSelect: () => remove(override), variant: "quiet" },
              ]
        }
        empty={
          <EmptyState small title="No override" text="Drag over the calendar to put others on call for a while." />
        }
      />
    </Card>
  );
}

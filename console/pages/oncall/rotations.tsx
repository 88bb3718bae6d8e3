import type { OnCallSchedule, OnCallShift, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LockedForm, ManagedNotice } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useList } from "../../app/query.ts";
import {
  Badge,
  Card,
  type Column,
  DataTable,
  EmptyState,
  formatDuration,
  NewButton,
  openDialog,
  plural,
  UserText,
} from "../../ui/index.ts";
import { nameOf, schedulePath } from "./oncall-types.ts";
import { ShiftDialog } from "./shift-dialog.tsx";

const UNITS = { hourly: "hour", daily: "day", weekly: "week", monthly: "month" } as const;

/** The times of a shift, in words. */
export function rhythmOf({ recurrence, durationMs, start, timezone }: OnCallShift): string {
  const at = `${start.slice(0, 10)} ${start.slice(11, 16)}, ${timezone}`;
  const length = formatDuration(durationMs);
  if (recurrence === null) return `once for ${length}, from ${at}`;
  const { frequency, interval, byDay, byMonth, byMonthDay } = recurrence;
  const unit = UNITS[frequency];
  const every = interval === 1 ? `every ${unit}` : `every ${plural(interval, unit)}`;
  const parts = [
    byDay?.join(", "),
    byMonthDay && `day ${byMonthDay.join(", ")}`,
    byMonth && `month ${byMonth.join(", ")}`,
  ];
  const on = parts.filter((part) => part !== undefined && part !== "").join("; ");
  return `${every}${on === "" ? "" : ` on ${on}`} for ${length}, from ${at}`;
}

interface Props {
  readonly schedule: OnCallSchedule;
  readonly people: readonly OnCallUser[];
}

/** The shifts of a schedule and who takes turns. */
export function Rotations({ schedule, people }: Props) {
  const path = `${schedulePath(schedule.id)}/shifts`;
  const list = useList<OnCallShift>(path, { limit: 100 });
  const isWriter = canInProject("oncall:write") === true;
  const name = (id: string) => {
    const person = people.find((each) => each.id === id);
    return person ? nameOf(person) : "Unknown user";
  };
  const remove = async (shift: OnCallShift) => {
    const text = `It ends now for ${plural(new Set(shift.turns.flat()).size, "user")}; the past stays. Lower levels fill its time.`;
    await confirmDelete(`${path}/${shift.id}`, { title: `Delete ${shift.name || "the shift"}?`, text }, () =>
      invalidate("/oncall"),
    );
  };
  const columns: readonly Column<OnCallShift>[] = [
    {
      label: "Shift",
      cell: ({ name: text, kind }) => <UserText>{text || (kind === "single" ? "Shift" : "Rotation")}</UserText>,
      card: "title",
    },
    { label: "When", cell: (shift) => <span class="num">{rhythmOf(shift)}</span>, card: "text" },
    {
      label: "Turns",
      cell: ({ turns }) => (
        <UserText lines={2}>{turns.map((users) => users.map(name).join(" + ") || "no one").join(" → ")}</UserText>
      ),
      card: "text",
      width: "wide",
    },
    {
      label: "Level",
      cell: ({ level }) => <Badge tone={level > 0 ? "info" : "plain"}>{`level ${level}`}</Badge>,
      card: "aside",
      width: "min",
    },
  ];
  const make = isWriter ? (
    <NewButton onClick={() => openDialog(<ShiftDialog {...{ schedule, people }} />)}>New rotation</NewButton>
  ) : undefined;
  return (
    <div class="stack">
      {isWriter && <ManagedNotice kind="oncall" id={schedule.id} />}
      <LockedForm kind="oncall" id={schedule.id}>
        <Card
          title="Rotations and shifts"
          sub="Higher levels win; lower ones fill what they leave free."
          actions={make}
          flush
        >
          <DataTable<OnCallShift>
            bare
            label="Rotations"
            list={list}
            columns={columns}
            rowActions={(shift) =>
              isWriter
                ? [
                    {
                      label: "Change",
                      onSelect: () => openDialog(<ShiftDialog known={shift} {...{ schedule, people }} />),
                    },
                    { label: "Delete", onSelect: () => remove(shift), variant: "quiet" },
                  ]
                : []
            }
            empty={
              <EmptyState
                small
                title="There is no rotation"
                text="A rotation puts users on call in turn, such as each for a week."
                action={make}
              />
            }
          />
        </Card>
      </LockedForm>
    </div>
  );
}

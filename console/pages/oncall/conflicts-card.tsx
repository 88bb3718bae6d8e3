import type { OnCallConflict } from "../../../src/client/api-types.gen.ts";
import { canInProject } from "../../app/memberships.ts";
import { me } from "../../app/session.ts";
import { Badge, Card, type Column, DataTable, plural, UserText } from "../../ui/index.ts";
import { daysLabel } from "./calendar-time.ts";
import { nameOf } from "./oncall-types.ts";
import { SpanText } from "./span-text.tsx";

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

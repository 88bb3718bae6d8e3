import type { OnCallSwap } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useList } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  confirm,
  DataTable,
  EmptyState,
  openDialog,
  UserText,
} from "../../ui/index.ts";
import { AskForSwap } from "./ask-for-swap.tsx";
import { spanLabel } from "./calendar-time.ts";
import { type ChangesProps, isOver, namer } from "./change-parts.ts";
import { schedulePath, type Warned } from "./oncall-types.ts";
import { showSaved } from "./saved.ts";
import { SpanText } from "./span-text.tsx";

const SWAP_TONES = { open: "warn", taken: "ok", expired: "plain" } as const;

export function Swaps({ schedule, people }: ChangesProps) {
  const path = `${schedulePath(schedule.id)}/swaps`;
  const list = useList<OnCallSwap>(path, { limit: 50 });
  const zone = schedule.timezone;
  const name = namer(people);
  const own = me.value?.id;
  const take = async (swap: OnCallSwap) => {
    const text = `${spanLabel(Date.parse(swap.start), Date.parse(swap.end), zone)} (${zone}): you are on call in place of ${name(swap.userId)}.`;
    if (!(await confirm({ title: "Take these shifts?", text, action: "Take" }))) return;
    showSaved("The shifts are yours.", await api.post<Warned>(`${path}/${swap.id}/take`));
  };
  const cancel = async (swap: OnCallSwap) => {
    const text = `${name(swap.userId)} is on call again from now on.`;
    await confirmDelete(`${path}/${swap.id}`, { title: "Cancel the swap?", text, action: "Cancel the swap" }, () =>
      invalidate("/oncall"),
    );
  };
  const columns: readonly Column<OnCallSwap>[] = [
    { label: "Asked by", cell: ({ userId }) => <UserText>{name(userId)}</UserText>, card: "title" },
    {
      label: "Shifts of",
      cell: (row) => <SpanText span={row} zone={zone} />,
    },
    { label: "Reason", cell: ({ reason }) => <UserText lines={1}>{reason}</UserText>, priority: 2 },
    {
      label: "Taken by",
      cell: ({ takenBy }) => (takenBy === null ? <span class="faint">—</span> : name(takenBy)),
      priority: 2,
    },
    { label: "State", cell: ({ state }) => <Badge tone={SWAP_TONES[state]}>{state}</Badge>, card: "aside" },
  ];
  return (
    <Card
      title="Swaps"
      sub={`A request changes nothing until another member takes it. Times in ${zone}.`}
      actions={<Button onClick={() => openDialog(<AskForSwap {...{ schedule, people }} />)}>Ask for a swap</Button>}
      flush
    >
      <DataTable<OnCallSwap>
        bare
        label="Swaps"
        list={list}
        columns={columns}
        rowActions={(swap) => [
          swap.state === "open" && swap.userId !== own && { label: "Take", onSelect: () => take(swap) },
          !isOver(swap) &&
            (swap.userId === own || canInProject("oncall:write")) && {
              label: "Cancel",
              onSelect: () => cancel(swap),
              variant: "quiet",
            },
        ]}
        empty={
          <EmptyState small title="No swap is requested" text="Users who cannot be on call ask the others here." />
        }
      />
    </Card>
  );
}

import type {
  CreateOnCallSwap,
  OnCallOverride,
  OnCallSchedule,
  OnCallSwap,
  OnCallUser,
} from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useList } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { onCallSwap } from "../../forms/on-call-swap.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  Combobox,
  confirm,
  DataTable,
  DateTimeInput,
  Dialog,
  EmptyState,
  openDialog,
  toast,
  UserText,
} from "../../ui/index.ts";
import { spanLabel } from "./calendar-time.ts";
import { nameOf, namesOf, schedulePath, type Warned } from "./oncall-types.ts";
import { OverrideDialog } from "./override-dialog.tsx";
import { showSaved } from "./saved.ts";
import { SpanText } from "./span-text.tsx";

interface Props {
  readonly schedule: OnCallSchedule;
  readonly people: readonly OnCallUser[];
}

/** Differences from the rotations: overrides and swaps. */
export function Changes(props: Props) {
  return (
    <div class="stack">
      <Overrides {...props} />
      <Swaps {...props} />
    </div>
  );
}

/** Finds names of users that a schedule names. */
function namer(people: readonly OnCallUser[]): (id: string) => string {
  return (id) => {
    const person = people.find((each) => each.id === id);
    return person ? nameOf(person) : id === me.value?.id ? "You" : "Unknown user";
  };
}

function isOver({ end }: { readonly end: string }): boolean {
  return Date.parse(end) <= Date.now();
}

function Overrides({ schedule, people }: Props) {
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

const SWAP_TONES = { open: "warn", taken: "ok", expired: "plain" } as const;

function Swaps({ schedule, people }: Props) {
  const path = `${schedulePath(schedule.id)}/swaps`;
  const list = useList<OnCallSwap>(path, { limit: 50 });
  const zone = schedule.timezone;
  const name = namer(people);
  const own = me.value?.id;
  const take = async (swap: OnCallSwap) => {
    const text = `${spanLabel(Date.parse(swap.start), Date.parse(swap.end), zone)}: you are on call in place of ${name(swap.userId)}.`;
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
      sub="A request changes nothing until another member takes it."
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

interface AskProps {
  readonly schedule: Pick<OnCallSchedule, "id" | "projectId" | "timezone">;
  readonly people: readonly OnCallUser[];
  readonly span?: { readonly start: string; readonly end: string };
  /** Whose shifts; default: the user's own. */
  readonly asker?: string;
}

/** Asks that another user takes over shifts. */
export function AskForSwap({ schedule: { id, projectId, timezone: zone }, people, span, asker }: AskProps) {
  const own = me.value?.id ?? "";
  const form = useResource<CreateOnCallSwap, OnCallSwap>(onCallSwap, {
    path: `${schedulePath(id)}/swaps`,
    start: {
      ...(span && { start: span.start, end: span.end }),
      ...(asker !== undefined && asker !== own && { userId: asker }),
    },
  });
  const ask = async () => {
    if ((await form.send()) === undefined) return false;
    toast.ok("The swap is requested.");
  };
  const at = (value = "", change: (iso: string) => void) => (
    <DateTimeInput value={value} onChange={change} zone={zone} />
  );
  const whose: FieldOf<CreateOnCallSwap> = {
    name: "userId",
    label: "Shifts of",
    required: true,
    as: (value = own, change) => (
      <Combobox
        value={value}
        onChange={change}
        options={[
          { value: own, label: "Me" },
          ...people.filter((each) => each.id !== own).map((each) => ({ value: each.id, label: nameOf(each) })),
        ]}
        load={memberFinder(projectId)}
      />
    ),
  };
  const isWriter = canInProject("oncall:write") === true;
  return (
    <Dialog title="Ask for a swap" subtitle={`Times in ${zone}.`} onSubmit={ask} action="Ask">
      <div class="grid2">
        <Fields
          of={form}
          show={[
            { name: "start", label: "From", as: at },
            { name: "end", label: "Until", as: at },
          ]}
        />
      </div>
      <Fields of={form} show={isWriter ? [whose, "reason"] : ["reason"]} />
    </Dialog>
  );
}

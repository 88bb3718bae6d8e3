import { useState } from "preact/hooks";
import type { OnCallConflict, OnCallLayers, OnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { ManagedBadge } from "../../app/managed.tsx";
import { useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  DataTable,
  Duration,
  displayZone,
  EmptyState,
  formatRelative,
  openDialog,
  Page,
  plural,
  Tabs,
  Time,
} from "../../ui/index.ts";
import { AskForSwap } from "./ask-for-swap.tsx";
import { paletteOf } from "./bars.ts";
import { Calendar } from "./calendar.tsx";
import type { Chosen } from "./calendar-grid.tsx";
import { Changes } from "./changes.tsx";
import { ConflictsCard } from "./conflicts-card.tsx";
import { DaysOffCard } from "./days-off.tsx";
import { useOnCallLive } from "./live.ts";
import { type Duty, type Gap, namesOf, schedulePath } from "./oncall-types.ts";
import { OverrideDialog } from "./override-dialog.tsx";
import { Rotations } from "./rotations.tsx";
import { Settings } from "./settings.tsx";
import { Slots, untilOfSlots } from "./slots.tsx";
import { SpanText } from "./span-text.tsx";

const GAP_DAYS = 90;
const DAY_MS = 86_400_000;

export default function SchedulePage({ params }: PageProps) {
  const { id = "" } = params;
  const query = useGet<OnCallSchedule>(schedulePath(id));
  const parts = useParts(id);
  useOnCallLive();
  return (
    <LoadedPage title="On-call schedule" query={query} besides={Object.values(parts)} managedAs="oncall">
      {(schedule) => <ScheduleView schedule={schedule} parts={parts} />}
    </LoadedPage>
  );
}

/** What all tabs of a schedule show, and their counts. */
function useParts(scheduleId: string) {
  const [to] = useState(() => new Date(Date.now() + GAP_DAYS * DAY_MS).toISOString());
  const [ahead] = useState(untilOfSlots);
  return {
    now: useGet<{ data: readonly Duty[] }>("/oncall/now", { scheduleId, to: ahead }),
    gaps: useGet<{ data: readonly Gap[] }>(`${schedulePath(scheduleId)}/gaps`, { to }),
    conflicts: useGet<{ data: readonly OnCallConflict[] }>("/oncall/conflicts", { scheduleId, to }),
    layers: useGet<OnCallLayers>(`${schedulePath(scheduleId)}/layers`),
  };
}

interface ViewProps {
  readonly schedule: OnCallSchedule;
  readonly parts: ReturnType<typeof useParts>;
}

function ScheduleView({ schedule, parts: { now, gaps, conflicts, layers } }: ViewProps) {
  const [tab] = useQueryState("tab", "calendar");
  const [zoneChoice] = useQueryState("zone");
  const zone = zoneChoice === "own" ? displayZone.value : schedule.timezone;
  const people = layers.data?.people ?? [];
  const override = (chosen: Chosen) => openDialog(<OverrideDialog {...{ schedule, chosen, people, zone }} />);
  const duty = now.data?.data[0];
  const colour = paletteOf([...people, ...(duty?.shifts ?? []).flatMap(({ users }) => users)]);
  const link = (value: string) => href(`/oncall/${schedule.id}${value === "calendar" ? "" : `?tab=${value}`}`);
  const tabs = [
    { value: "calendar", label: "Calendar", href: link("calendar") },
    { value: "rotations", label: "Rotations", href: link("rotations") },
    { value: "changes", label: "Overrides and swaps", href: link("changes") },
    { value: "days-off", label: "Days off", href: link("days-off"), count: conflicts.data?.data.length },
    { value: "gaps", label: `Gaps, ${GAP_DAYS} days`, href: link("gaps"), count: gaps.data?.data.length },
    { value: "settings", label: "Settings", href: link("settings") },
  ].map(({ count, ...each }) => (count ? { ...each, count } : each));
  const conflictList = (
    <ConflictsCard
      conflicts={conflicts.data?.data ?? []}
      days={GAP_DAYS}
      zone={schedule.timezone}
      onSwap={(span) => openDialog(<AskForSwap {...{ schedule, people, span }} asker={span.user.id} />)}
      onOverride={({ user, start, end }) =>
        override({ start: Date.parse(start), end: Date.parse(end), users: [user], replaces: user.id })
      }
    />
  );
  const hour = () => Math.ceil(Date.now() / 3_600_000) * 3_600_000;
  return (
    <Page
      title={schedule.name}
      subtitle={duty ? subtitleOf(duty) : schedule.description || "Who is on call when."}
      breadcrumb={[{ label: "On-call", href: href("/oncall") }]}
      badge={
        <>
          {duty?.current.length === 0 && <Badge tone="bad">gap</Badge>}
          <ManagedBadge kind="oncall" id={schedule.id} />
        </>
      }
      width="wide"
      tabs={<Tabs label="Schedule" value={tab} tabs={tabs} />}
      actions={
        <Button
          variant="primary"
          onClick={() => override({ start: hour(), end: hour() + 8 * 3_600_000, users: duty?.current ?? [] })}
        >
          Add override
        </Button>
      }
    >
      {tab === "rotations" ? (
        <Rotations schedule={schedule} people={people} />
      ) : tab === "changes" ? (
        <Changes schedule={schedule} people={people} />
      ) : tab === "days-off" ? (
        <div class="stack">
          {conflictList}
          <DaysOffCard scheduleId={schedule.id} projectId={schedule.projectId} people={people} />
        </div>
      ) : tab === "gaps" ? (
        <Gaps schedule={schedule} gaps={gaps} />
      ) : tab === "settings" ? (
        <Settings schedule={schedule} />
      ) : (
        <div class="stack">
          {duty && (
            <Card>
              <div class="stack s2">
                <Slots duty={duty} zone={zone} colour={colour} onChoose={override} />
                <p class="muted small">{`Times in ${zone}.`}</p>
              </div>
            </Card>
          )}
          <Calendar schedule={schedule} colour={colour} onChoose={override} />
          {conflictList}
          <p class="muted small">
            Press a shift or a gap, or drag over the row “On call”, to put others on call for that time. Keys: [ and ]
            move, t is today.
          </p>
        </div>
      )}
    </Page>
  );
}

function subtitleOf({ current, until, next }: Duty): string {
  const end = until === null ? "" : ` Next change ${formatRelative(until)}${next ? `: ${namesOf(next.users)}` : ""}.`;
  return current.length === 0 ? `No one is on call now.${end}` : `${namesOf(current)} on call now.${end}`;
}

interface GapsProps {
  readonly schedule: OnCallSchedule;
  readonly gaps: ReturnType<typeof useGet<{ data: readonly Gap[] }>>;
}

function Gaps({ schedule, gaps }: GapsProps) {
  const columns: readonly Column<Gap>[] = [
    {
      label: "When",
      cell: (row) => <SpanText span={row} zone={schedule.timezone} />,
      card: "title",
    },
    { label: "Length", cell: ({ durationMs }) => <Duration ms={durationMs} />, align: "end" },
    { label: "Starts", cell: ({ start }) => <Time at={start} />, align: "end", card: "aside" },
  ];
  const total = gaps.data?.data.length ?? 0;
  return (
    <Card
      title={total === 0 ? "No gaps" : plural(total, "gap")}
      sub={`Times of the next ${GAP_DAYS} days without anyone on call, in ${schedule.timezone}.`}
      flush
    >
      <DataTable<Gap>
        bare
        label="Gaps"
        list={gaps}
        rowKey={({ start }) => start}
        columns={columns}
        rowHref={({ start }) => href(`/oncall/${schedule.id}?at=${start.slice(0, 10)}`)}
        empty={<EmptyState small title="Every hour is covered" text={`For ${GAP_DAYS} days someone is on call.`} />}
      />
    </Card>
  );
}

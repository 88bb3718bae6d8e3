import { CalendarDays, PhoneCall } from "lucide";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { OnCallOwnShifts, OnCallUser } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { ManagedBadge } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  displayZone,
  EmptyState,
  Loaded,
  NewButton,
  openDialog,
  Page,
  plural,
  Skeleton,
} from "../../ui/index.ts";
import { PageButton } from "../incidents/page-dialog.tsx";
import { paletteOf } from "./bars.ts";
import type { Chosen } from "./calendar-grid.tsx";
import { useOnCallLive } from "./live.ts";
import type { Duty } from "./oncall-types.ts";
import { OverrideDialog } from "./override-dialog.tsx";
import { Proofs } from "./proofs.tsx";
import { ScheduleDialog } from "./schedule-dialog.tsx";
import { Slots, untilOfSlots } from "./slots.tsx";
import { Ahead } from "./strip.tsx";
import { OnCallTabs } from "./tabs.tsx";

const COMMAND = `curl -s $PRISM_URL/api/v1/oncall/schedules -H "Authorization: Bearer $PRISM_TOKEN" \\
  -H "Content-Type: application/json" -d '{"name": "Database", "timezone": "Europe/Berlin"}'`;

/** Who is on call now, on all schedules. */
export default function OnCallNow() {
  const [to] = useState(untilOfSlots);
  const query = useGet<{ data: readonly Duty[] }>("/oncall/now", { to });
  const colour = paletteOf((query.data?.data ?? []).flatMap(peopleOf));
  useOnCallLive();
  const make =
    canInProject("oncall:write") === true ? (
      <NewButton onClick={() => openDialog(<ScheduleDialog />)}>New schedule</NewButton>
    ) : undefined;
  return (
    <Page
      title="On-call"
      subtitle={query.data ? subtitleOf(query.data.data) : "Who is on call now, and who is next."}
      actions={
        <>
          <PageButton />
          {make}
        </>
      }
      tabs={<OnCallTabs value="now" />}
    >
      <Loaded
        query={query}
        skeleton={<Skeleton kind="cards" />}
        isEmpty={({ data }) => data.length === 0}
        empty={<NoSchedule to={to} make={make} />}
      >
        {({ data }) => (
          <div class="stack">
            {data.map((duty) => (
              <DutyCard key={duty.scheduleId} duty={duty} colour={colour} />
            ))}
          </div>
        )}
      </Loaded>
      <Proofs />
    </Page>
  );
}

interface NoScheduleProps {
  readonly to: string;
  readonly make: ComponentChildren;
}

/** The user may be on call on schedules of a project that the user does not read. */
function NoSchedule({ to, make }: NoScheduleProps) {
  const own = useGet<OnCallOwnShifts>("/oncall/shifts", { to });
  const names = [...new Set((own.data?.data ?? []).map(({ name }) => name))];
  if (names.length > 0)
    return (
      <EmptyState
        icon={PhoneCall}
        title={`You have shifts on ${names.join(", ")}`}
        text="Its project is not one that you read; your own shifts are all that you see of it."
        action={<Button href={href("/oncall/mine")}>My shifts</Button>}
      />
    );
  if (!own.data && !own.error) return <Skeleton kind="cards" />;
  return (
    <EmptyState
      icon={PhoneCall}
      title="There is no on-call schedule"
      text="A schedule says who is notified of an incident at each hour. Rotations take turns; overrides and swaps change them."
      action={make}
      command={COMMAND}
    />
  );
}

function subtitleOf(duties: readonly Duty[]): string {
  if (duties.length === 0) return "Who is on call now, and who is next.";
  const gaps = duties.filter(({ current }) => current.length === 0).length;
  const own = duties.filter(({ current }) => current.some(({ id }) => id === me.value?.id)).length;
  const covered = `${duties.length - gaps} of ${plural(duties.length, "schedule")} ${duties.length === 1 ? "has" : "have"} someone on call.`;
  return own > 0 ? `${covered} You are on call on ${own}.` : covered;
}

function peopleOf({ current, next, shifts = [] }: Duty): readonly OnCallUser[] {
  return [...current, ...(next?.users ?? []), ...shifts.flatMap(({ users }) => users)];
}

interface CardProps {
  readonly duty: Duty;
  readonly colour: (id: string | undefined) => string;
}

function DutyCard({ duty, colour }: CardProps) {
  const { scheduleId, projectId, name, current } = duty;
  const project = useProjects().find(({ id }) => id === projectId);
  const isOwn = current.some(({ id }) => id === me.value?.id);
  const zone = displayZone.value;
  const override = (chosen: Chosen) =>
    openDialog(
      <OverrideDialog
        schedule={{ id: scheduleId, projectId }}
        chosen={chosen}
        people={peopleOf(duty)}
        zone={duty.timezone}
      />,
    );
  return (
    <Card
      title={name}
      sub={project?.name}
      tone={current.length === 0 ? "bad" : undefined}
      actions={
        <span class="inline">
          <ManagedBadge kind="oncall" id={scheduleId} />
          {isOwn && <Badge tone="info">you</Badge>}
          <Button small icon={CalendarDays} href={href(`/oncall/${scheduleId}`)} title={`Calendar of ${name}`}>
            Calendar
          </Button>
        </span>
      }
    >
      <Slots duty={duty} zone={zone} colour={colour} onChoose={override} />
      <Ahead duty={duty} zone={zone} colour={colour} />
    </Card>
  );
}

import { CalendarDays, PhoneCall } from "lucide";
import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { canInProject } from "../../app/memberships.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Avatar,
  Badge,
  Button,
  Card,
  EmptyState,
  Loaded,
  NewButton,
  Page,
  plural,
  Skeleton,
  Time,
  UserText,
} from "../../ui/index.ts";
import { PageDialog } from "../incidents/page-dialog.tsx";
import { AwayBadge } from "./away-badge.tsx";
import { useOnCallLive } from "./live.ts";
import { type Duty, nameOf, namesOf } from "./oncall-types.ts";
import { Proofs } from "./proofs.tsx";
import { ScheduleDialog } from "./schedule-dialog.tsx";
import { OnCallTabs } from "./tabs.tsx";

const COMMAND = `curl -s $PRISM_URL/api/v1/oncall/schedules -H "Authorization: Bearer $PRISM_TOKEN" \\
  -H "Content-Type: application/json" -d '{"name": "Database", "timezone": "Europe/Berlin"}'`;

/** Who is on call now, on all schedules. */
export default function OnCallNow() {
  const [isMaking, setMaking] = useState(false);
  const query = useGet<{ data: readonly Duty[] }>("/oncall/now");
  useOnCallLive();
  const [isPaging, setPaging] = useState(false);
  const make =
    canInProject("oncall:write") === true ? (
      <NewButton onClick={() => setMaking(true)}>New schedule</NewButton>
    ) : undefined;
  return (
    <Page
      title="On-call"
      subtitle={query.data ? subtitleOf(query.data.data) : "Who is on call now, and who is next."}
      actions={
        <>
          {canInProject("incidents:act") === true && <Button onClick={() => setPaging(true)}>Page someone</Button>}
          {make}
        </>
      }
      tabs={<OnCallTabs value="now" />}
    >
      <Loaded
        query={query}
        skeleton={<Skeleton kind="cards" />}
        isEmpty={({ data }) => data.length === 0}
        empty={
          <EmptyState
            icon={PhoneCall}
            title="There is no on-call schedule"
            text="A schedule says who is notified of an incident at each hour. Rotations take turns; overrides and swaps change them."
            action={make}
            command={COMMAND}
          />
        }
      >
        {({ data }) => (
          <div class="grid3">
            {data.map((duty) => (
              <DutyCard key={duty.scheduleId} duty={duty} />
            ))}
          </div>
        )}
      </Loaded>
      <Proofs />
      <PageDialog isOpen={isPaging} onClose={() => setPaging(false)} />
      <ScheduleDialog isOpen={isMaking} onClose={() => setMaking(false)} />
    </Page>
  );
}

function subtitleOf(duties: readonly Duty[]): string {
  if (duties.length === 0) return "Who is on call now, and who is next.";
  const gaps = duties.filter(({ current }) => current.length === 0).length;
  const own = duties.filter(({ current }) => current.some(({ id }) => id === me.value?.id)).length;
  const covered = `${duties.length - gaps} of ${plural(duties.length, "schedule")} ${duties.length === 1 ? "has" : "have"} someone on call.`;
  return own > 0 ? `${covered} You are on call on ${own}.` : covered;
}

function DutyCard({ duty }: { readonly duty: Duty }) {
  const { scheduleId, projectId, name, current, until, next } = duty;
  const project = useProjects().find(({ id }) => id === projectId);
  const path = href(`/oncall/${scheduleId}`);
  const isOwn = current.some(({ id }) => id === me.value?.id);
  return (
    <Card
      title={name}
      sub={project?.name}
      tone={current.length === 0 ? "bad" : undefined}
      actions={
        current.length === 0 ? <Badge tone="bad">gap</Badge> : isOwn ? <Badge tone="info">you</Badge> : undefined
      }
    >
      <div class="stack s2">
        {current.length === 0 ? (
          <span class="text-bad strong">No one is on call</span>
        ) : (
          current.map((person) => (
            <span class="inline" key={person.id}>
              <Avatar name={nameOf(person)} />
              <span class="strong grow">
                <UserText lines={1}>{nameOf(person)}</UserText>
              </span>
              <AwayBadge away={person.away} />
            </span>
          ))
        )}
        <span class="muted small">
          {until === null ? (
            "No change is planned."
          ) : (
            <>
              until <Time at={until} mode="full" />
            </>
          )}
        </span>
        {next && (
          <span class="small">
            {"Next: "}
            <span dir="auto">{namesOf(next.users)}</span>, <Time at={next.start} />{" "}
            <AwayBadge away={next.users.find(({ away }) => away !== null)?.away ?? null} />
          </span>
        )}
        <div>
          <Button small icon={CalendarDays} href={path} title={`Calendar of ${name}`}>
            Calendar
          </Button>
        </div>
      </div>
    </Card>
  );
}

import { useMemo } from "preact/hooks";
import type { AttentionItem, Stats } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { canInProject } from "../../app/memberships.ts";
import { useQueryState } from "../../app/navigate.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Banner, Button, ErrorState, formatNumber, Page, plural, Segmented } from "../../ui/index.ts";
import { ALL_EVENTS } from "../events/filters.ts";
import { useLiveEvents } from "../events/live-events.ts";
import { unread } from "../inbox/unread.ts";
import { notifiedText } from "../incidents/counts-text.ts";
import { notifiedElsewhere, openIncidents } from "../incidents/open-incidents.ts";
import { AlertDay } from "./alert-day.tsx";
import { AttentionList, useAttention } from "./attention.tsx";
import { EventChart, NotificationChart, StatCards, useStats } from "./figures.tsx";
import { FirstSteps } from "./first-steps.tsx";
import { HealthLine } from "./health-line.tsx";
import { LatestEvents, SHOWN } from "./latest-events.tsx";
import { NeedFigures } from "./need-figures.tsx";
import { OnCallRow, useIsOnCallKnown } from "./on-call-row.tsx";
import { RANGES, type Range } from "./overview-types.ts";
import { OwnWork } from "./own-work.tsx";
import { isOfServer, Server } from "./server.tsx";

const DELIVERY: ReadonlySet<string> = new Set(["way", "channel"]);
const INCIDENTS: ReadonlySet<string> = new Set(["incident", "incidents"]);

/** `/`: who is on call, what needs people, and for operators how the server does. */
export default function Overview() {
  return can("events:read") ? <ReaderOverview /> : <OwnOverview />;
}

/** The answer before the lines: "1 delivery problem, 5 open incidents, 3 other things." */
function attentionText(items: readonly AttentionItem[] | undefined, open: number, elsewhere: number): string {
  if (!items) return "Who is on call, and what needs your attention now.";
  const delivery = items.filter(({ kind }) => DELIVERY.has(kind)).length;
  const others = items.filter(({ kind }) => !DELIVERY.has(kind) && !INCIDENTS.has(kind)).length;
  const parts = [
    ...(delivery > 0 ? [plural(delivery, "delivery problem")] : []),
    ...(open > 0 ? [plural(open, "open incident")] : []),
    ...(elsewhere > 0 && delivery + open + others > 0 ? [`${plural(elsewhere, "incident")} of other projects`] : []),
    ...(others > 0 ? [plural(others, "other thing")] : []),
  ];
  if (parts.length === 0 && elsewhere > 0) return `${notifiedText(elsewhere)}.`;
  return parts.length === 0 ? "Nothing needs you." : `${parts.join(", ")}.`;
}

/** Who is on call, and the figures of incidents and alerts, which would move while it is loading. */
function OnCallNow() {
  return (
    <>
      <OnCallRow />
      {useIsOnCallKnown() && (
        <div class="ov-need">
          <NeedFigures />
          <AlertDay />
        </div>
      )}
    </>
  );
}

/** For users who read all events. */
function ReaderOverview() {
  const [given, setRange] = useQueryState("range", "1h");
  const range: Range = given === "24h" || given === "7d" ? given : "1h";
  const operates = can("system:status");
  const attention = useAttention();
  const lines = attention.items?.filter((item) => !isOfServer(item));
  const projects = useProjects();
  const events = useLiveEvents(ALL_EVENTS, streamsOf(projects, ""), false, SHOWN);
  const stats = useStats(range, `${events.items?.[0]?.id} ${events.waiting}`);
  const figures = useFigures(stats.data, range);
  const isNew = useIsNew(events.items?.length === 0 && !events.loading, attention.items);
  const isFresh = isNew && (lines?.length ?? 0) === 0;
  const isOnCallKnown = useIsOnCallKnown(!isNew);
  // What is shown below something that is loading moves when it arrives.
  const isPlaced = attention.items !== undefined || attention.isFailed;
  return (
    <Page
      title="Overview"
      subtitle={
        isFresh
          ? "This server has no events yet. Three steps, and it notifies you."
          : attentionText(lines, openIncidents.value, notifiedElsewhere.value)
      }
    >
      <div class="stack s5">
        {!isNew && <OnCallNow />}
        {!isFresh && isOnCallKnown && <AttentionList attention={{ ...attention, items: lines }} />}
        {isNew ? (
          <FirstSteps />
        ) : (
          isPlaced && (
            <>
              <div class="spread">
                <h2>Activity</h2>
                <Segmented
                  label="Range"
                  value={range}
                  onChange={setRange}
                  options={Object.entries(RANGES).map(([value, { label }]) => ({ value, label }))}
                  small
                />
              </div>
              {stats.error && !stats.data ? (
                <ErrorState error={stats.error} retry={stats.reload} title="The figures could not be loaded" small />
              ) : (
                figures.cards
              )}
              <div class="two">
                <LatestEvents events={events} />
                {figures.beside}
              </div>
              {figures.below}
            </>
          )
        )}
        <NoRuleYet isShown={!isNew && events.items !== undefined} />
        {operates && !isFresh && isPlaced && <Server attention={attention} stats={stats.data} range={range} />}
        {operates && isFresh && <HealthLine />}
      </div>
    </Page>
  );
}

/** Whether the server has neither events nor incidents: alerts open incidents without events of users. */
function useIsNew(isEmpty: boolean, items: readonly AttentionItem[] | undefined): boolean {
  const incidents = useGet<{ data: readonly unknown[] }>(isEmpty ? "/incidents" : null, { limit: 1 });
  return isEmpty && incidents.data?.data.length === 0 && !items?.some(({ kind }) => INCIDENTS.has(kind));
}

/** The same elements until the figures change: live events must not draw the charts again. */
function useFigures(stats: Stats | undefined, range: Range) {
  return useMemo(
    () => ({
      cards: <StatCards stats={stats} range={range} />,
      beside: <EventChart stats={stats} range={range} />,
      below: <NotificationChart stats={stats} range={range} />,
    }),
    [stats, range],
  );
}

/** Events without rules notify no user; alerts need none. */
function NoRuleYet({ isShown }: { readonly isShown: boolean }) {
  const rules = useGet<{ data: readonly unknown[] }>(isShown && can("rules:write") ? "/rules" : null, { limit: 1 });
  const mayRead = rules.data?.data.length === 0 && canInProject("events:read") === true;
  const incidents = useGet<{ data: readonly unknown[] }>(mayRead ? "/incidents" : null, { limit: 1 });
  if (rules.data?.data.length !== 0 || (mayRead && incidents.data?.data.length !== 0)) return null;
  return (
    <Banner tone="info" title="There is no rule yet" action={<Button href={href("/rules/new")}>Create a rule</Button>}>
      Events are stored, but no user is notified.
    </Banner>
  );
}

/** For users who read some projects, or none: what concerns them. */
function OwnOverview() {
  const attention = useAttention();
  const lines = attention.items?.filter((item) => !isOfServer(item));
  const readsProject = canInProject("events:read") === true;
  const isOnCallKnown = useIsOnCallKnown(readsProject);
  const count = (lines ?? []).reduce((sum, { counts }) => sum + (counts["notifications"] ?? 1), 0);
  const seen = unread.value === 0 ? "You have seen everything." : `${formatNumber(unread.value)} unread.`;
  const waits = count > 0 ? `${plural(count, "notification waits", "notifications wait")} for you.` : seen;
  return (
    <Page
      title="Overview"
      subtitle={readsProject ? attentionText(lines, openIncidents.value, notifiedElsewhere.value) : waits}
    >
      <div class="stack s5">
        {readsProject && <OnCallNow />}
        {isOnCallKnown && <AttentionList attention={{ ...attention, items: lines }} />}
        {(attention.items !== undefined || attention.isFailed) && <OwnWork />}
      </div>
    </Page>
  );
}

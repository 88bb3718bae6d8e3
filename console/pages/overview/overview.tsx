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
import { AttentionList, useAttention } from "./attention.tsx";
import { DeliveryChart, EventChart, JobChart, NotificationChart, StatCards, useStats } from "./figures.tsx";
import { FirstSteps } from "./first-steps.tsx";
import { HealthLine } from "./health-line.tsx";
import { LatestEvents } from "./latest-events.tsx";
import { RANGES, type Range } from "./overview-types.ts";
import { OwnWork } from "./own-work.tsx";

/** `/`: what needs attention, and how much happens. */
export default function Overview() {
  return can("events:read") ? <OperatorOverview /> : <OwnOverview />;
}

const DELIVERY: ReadonlySet<string> = new Set(["way", "channel"]);
const INCIDENTS: ReadonlySet<string> = new Set(["incident", "incidents"]);

/** The answer before the lines: "1 delivery problem, 5 open incidents, 3 other things." */
function attentionText(items: readonly AttentionItem[] | undefined): string {
  if (!items) return "What needs your attention now, and recent activity.";
  if (items.length === 0) return "Nothing needs you.";
  const delivery = items.filter(({ kind }) => DELIVERY.has(kind)).length;
  const incidents = items
    .filter(({ kind }) => INCIDENTS.has(kind))
    .reduce((sum, { counts }) => sum + (counts["incidents"] ?? 1), 0);
  const others = items.filter(({ kind }) => !DELIVERY.has(kind) && !INCIDENTS.has(kind)).length;
  const parts = [
    ...(delivery > 0 ? [plural(delivery, "delivery problem")] : []),
    ...(incidents > 0 ? [plural(incidents, "open incident")] : []),
    ...(others > 0 ? [plural(others, "other thing")] : []),
  ];
  return `${parts.join(", ")}.`;
}

function OperatorOverview() {
  const [given, setRange] = useQueryState("range", "1h");
  const range: Range = given === "24h" || given === "7d" ? given : "1h";
  const attention = useAttention();
  const projects = useProjects();
  const events = useLiveEvents(ALL_EVENTS, streamsOf(projects, ""), false);
  const stats = useStats(range, `${events.items?.[0]?.id} ${events.waiting}`);
  const figures = useFigures(stats.data, range);
  const isNew = useIsNew(events.items?.length === 0 && !events.loading, attention.items);
  const isCalm = (attention.items?.length ?? 0) === 0;
  return (
    <Page
      title="Overview"
      subtitle={
        isNew && isCalm
          ? "This server has no events yet. Three steps, and it notifies you."
          : attentionText(attention.items)
      }
    >
      <div class="stack s5">
        {!(isNew && isCalm) && <AttentionList attention={attention} />}
        {isNew ? (
          <FirstSteps />
        ) : (
          // Below the lines: what was shown earlier would move when they arrive.
          (attention.items !== undefined || attention.isFailed) && (
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
        {can("system:status") && <HealthLine />}
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
      below: (
        <div class="grid3">
          <NotificationChart stats={stats} range={range} />
          <DeliveryChart stats={stats} range={range} />
          <JobChart stats={stats} range={range} />
        </div>
      ),
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

/** For users without the events: what concerns them. */
function OwnOverview() {
  const attention = useAttention();
  const count = (attention.items ?? []).reduce((sum, { counts }) => sum + (counts["notifications"] ?? 1), 0);
  const subtitle =
    count > 0
      ? `${plural(count, "notification waits", "notifications wait")} for you.`
      : unread.value === 0
        ? "You have seen everything."
        : `${formatNumber(unread.value)} unread.`;
  return (
    <Page title="Overview" subtitle={subtitle}>
      <div class="stack s5">
        <AttentionList attention={attention} />
        <OwnWork />
      </div>
    </Page>
  );
}

import { Bell } from "lucide";
import type { NotificationSummary, RuleStats } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Banner, Card, ChartCard, DataTable, EmptyState, StatCard, Time, UserText } from "../../ui/index.ts";
import type { Rule } from "./types.ts";

const DAY_MS = 86_400_000;
const DAYS = 30;

/** Activity of the rule: per day, in total, and its notifications. */
export function ActivityTab({ rule }: { readonly rule: Rule }) {
  const stats = useGet<RuleStats>(`/rules/${rule.id}/stats`);
  const totals = rule.stats;
  const withheld = totals.suppressed + totals.deduped + totals.cooled;
  const byDay = new Map(stats.data?.perDay.map((entry) => [entry.day, entry]));
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const x = Array.from({ length: DAYS }, (_, index) => today - (DAYS - 1 - index) * DAY_MS);
  const days = x.map((at) => byDay.get(new Date(at).toISOString().slice(0, 10)));
  return (
    <div class="stack s5">
      {totals.lastError !== null && (
        <Banner tone="warn" title="An evaluation failed">
          {totals.lastError}
        </Banner>
      )}
      <div class="grid4">
        <StatCard label="Matched" value={totals.matched} sub="events since the rule exists" />
        <StatCard label="Notified" value={totals.fired} sub="notifications" />
        <StatCard label="Withheld" value={withheld} sub="repeats, storms and cooldown" />
        <StatCard
          label="Without recipients"
          value={totals.noRecipients}
          sub="matches that no one received"
          {...(totals.noRecipients > 0 ? { tone: "warn" as const } : {})}
        />
      </div>
      <ChartCard
        title="Last 30 days"
        sub="Matches and notifications per day (UTC)"
        kind="bars"
        x={stats.data ? x : []}
        series={[
          { label: "Matches", values: days.map((day) => day?.matched ?? 0), tone: "muted" },
          { label: "Notifications", values: days.map((day) => day?.fired ?? 0), tone: "accent" },
        ]}
        loading={stats.loading}
        error={stats.error}
        retry={stats.reload}
      />
      <Notifications rule={rule} />
    </div>
  );
}

function Notifications({ rule }: { readonly rule: Rule }) {
  const seesAll = can("notifications:read_all");
  const path = seesAll ? "/notifications/all" : "/notifications";
  const list = useList<NotificationSummary>(path, { ruleId: rule.id, limit: 20 });
  return (
    <Card title={seesAll ? "Notifications" : "Your notifications of this rule"} flush>
      <DataTable<NotificationSummary>
        bare
        label="Notifications of this rule"
        list={list}
        rowHref={({ id }) => href(`/inbox/${id}`)}
        columns={[
          { label: "Title", cell: ({ title }) => <UserText lines={2}>{title}</UserText>, width: "wide" },
          { label: "Events", cell: ({ aggregateCount }) => aggregateCount, align: "end", priority: 2 },
          ...(seesAll
            ? [
                {
                  label: "Acknowledged",
                  cell: ({ counts }: NotificationSummary) =>
                    counts ? `${counts.acknowledged} of ${counts.recipients}` : "—",
                  align: "end" as const,
                },
              ]
            : []),
          { label: "When", cell: ({ createdAt }) => <Time at={createdAt} />, card: "aside", width: "min" },
        ]}
        empty={
          <EmptyState small icon={Bell} title="No notifications yet" text="They appear here when the rule fires." />
        }
      />
    </Card>
  );
}

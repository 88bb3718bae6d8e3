import {
  Attention,
  Badge,
  Button,
  Card,
  ChartCard,
  CodeInline,
  type Column,
  Condition,
  DataTable,
  StatCard,
  Time,
  Timeline,
  type Tone,
} from "../ui/index.ts";
import { HOSTILE, lastMinutes, NOW, wave } from "./samples.ts";

/** The overview and the explain story, as in the visual reference. */
export function StorySection() {
  return (
    <>
      <NeedsAttention />
      <section class="grid4" aria-label="Last hour">
        <StatCard label="Events" value="18 402" sub="last hour" delta={0.04} spark={wave(14, 10, 20)} />
        <StatCard label="Notifications" value="61" sub="last hour · 58 seen" spark={wave(9, 2, 30, 2)} />
        <StatCard
          label="Delivered"
          value="97.4 %"
          sub="23 waiting · 2 failed"
          tone="warn"
          spark={[30, 30, 29, 30, 28, 15, 11]}
        />
        <StatCard label="Jobs" value="0" sub="dead · 4 running, 12 scheduled" spark={wave(8, 4, 6, 4)} href="#tables" />
      </section>
      <section class="two">
        <LatestEvents />
        <Card title="Why was Anna notified?">
          <WhyNotified />
        </Card>
      </section>
      <ChartCard
        title="Events"
        sub="last hour, by minute"
        x={lastMinutes(60)}
        series={[
          { label: "matched", values: wave(60, 20, 60, 3) },
          { label: "no rule", values: wave(60, 60, 90, 5), tone: "muted" },
        ]}
        kind="bars"
        stacked
        marks={[{ at: NOW - 25 * 60_000, label: "rule changed" }]}
      />
    </>
  );
}

function NeedsAttention() {
  return (
    <section class="card" aria-label="Needs attention">
      <ul class="attentions">
        <Attention
          tone="bad"
          tag="critical"
          strong
          title="db-2 is down"
          sub="Anna, Ben notified · Shop"
          meta={<Time at={NOW - 6 * 60_000} />}
          href="#story"
          action={<Button small>Acknowledge</Button>}
        />
        <Attention
          tone="warn"
          tag="delivery"
          title="Mail is paused"
          sub="mail.example.org refused 5 connections in a row"
          meta="next attempt in 40 s"
          action={<Button small>Retry now</Button>}
        />
      </ul>
    </section>
  );
}

interface Row {
  readonly id: string;
  readonly time: string;
  readonly type: string;
  readonly source: string;
  readonly summary: string;
  readonly tone: Tone;
  readonly result: string;
}

const ROWS: readonly Row[] = [
  ["14:02:11", "host.down", "probe-fra", "db-2 did not answer for 30 s", "bad", "fired"],
  ["14:02:09", "payment", "shop", "1 500.00 EUR, anna@example.org", "plain", "no rule"],
  ["14:02:07", "host.down", "probe-fra", HOSTILE.rightToLeft, "info", "deduped"],
  ["14:01:58", "backup.done", "cron", "12.4 GB in 8 min", "ok", "fired"],
  ["14:01:40", "login.failed", "gateway", "root from 203.0.113.9", "plain", "no rule"],
].map(([time, type, source, summary, tone, result], index) => ({
  id: `${index}`,
  time: time ?? "",
  type: type ?? "",
  source: source ?? "",
  summary: summary ?? "",
  tone: tone as Tone,
  result: result ?? "",
}));

const COLUMNS: readonly Column<Row>[] = [
  { label: "Time", cell: (row) => <span class="num muted">{row.time}</span>, card: "meta", width: "min" },
  { label: "Type", cell: (row) => <CodeInline>{row.type}</CodeInline>, card: "title", width: "min" },
  { label: "Source", cell: (row) => row.source, card: "hide", width: "min" },
  { label: "Summary", cell: (row) => row.summary, card: "text" },
  { label: "Result", cell: (row) => <Badge tone={row.tone}>{row.result}</Badge>, card: "aside", width: "min" },
];

function LatestEvents() {
  return (
    <Card title="Latest events" link={{ href: "#tables", text: "All events" }} flush>
      <DataTable label="Latest events" bare rows={ROWS} columns={COLUMNS} />
    </Card>
  );
}

/** The signature of the console: what happened, offset by offset, and the answer. */
export function WhyNotified() {
  return (
    <Timeline
      items={[
        {
          time: "14:02:11.204",
          title: (
            <>
              Event <CodeInline>host.down</CodeInline> stored
            </>
          ),
          sub: "from probe-fra, project ops",
        },
        {
          time: "+0.3 ms",
          title: "Rule “Host down” matched",
          children: <Condition text="event.type == 'host.down' and event.seconds > 20" result={true} />,
        },
        { time: "+1.1 ms", tone: "ok", title: "Live on 2 devices", sub: "browser and phone, acknowledged by neither" },
        { time: "+10.0 s", tone: "bad", title: "Mail waits", sub: "the provider is paused until 14:03:02" },
        {
          time: "in 4 min",
          tone: "plain",
          title: "Escalates to Ben",
          sub: "if Anna does not acknowledge",
          pending: true,
        },
      ]}
      answer={
        <>
          Anna holds the role <b>On call</b> of project ops, is awake (quiet hours end 07:00), and has not acknowledged
          yet.
        </>
      }
    />
  );
}

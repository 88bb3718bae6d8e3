import { useState } from "preact/hooks";
import {
  Bytes,
  Card,
  ChartCard,
  Code,
  CodeBlock,
  CodeInline,
  Condition,
  DescriptionList,
  Duration,
  formatPercent,
  Histogram,
  Num,
  Percent,
  Segmented,
  Time,
  UserText,
} from "../ui/index.ts";
import { HOSTILE, lastMinutes, NOW, PAYLOAD, wave } from "./samples.ts";

/** Values, code and charts. */
export function DataSection() {
  return (
    <>
      <div class="grid2">
        <Values />
        <Card title="Payload">
          <Code value={PAYLOAD} label="payload" />
        </Card>
      </div>
      <Card title="Conditions">
        <Condition
          text={`event.type == "host.down" and (event.seconds > 20 or not startsWith(event.host, 'db'))`}
          result={false}
          values={[
            { path: "event.type", value: "host.up" },
            { path: "event.seconds", value: 3 },
            { path: "event.host", missing: true },
          ]}
        />
        <Condition
          text="event.seconds > > 20"
          result="error"
          error={{ position: 16, message: "expected a value or a path" }}
        />
        <Condition
          text={`event.note == '${HOSTILE.rightToLeft}' and event.word == '${HOSTILE.long}'`}
          result="skipped"
        />
      </Card>
      <CodeBlock
        label="command"
        text={`curl -X POST https://prism.example.org/api/v1/events \\\n  -H "Authorization: Bearer $PRISM_KEY" \\\n  -d '{"type":"host.down"}'`}
      />
      <Charts />
    </>
  );
}

function Values() {
  return (
    <Card title="Values">
      <DescriptionList
        items={[
          { label: "Relative", value: <Time at={NOW - 372_000} /> },
          { label: "Future", value: <Time at={NOW + 45_000} /> },
          { label: "Clock", value: <Time at={NOW} mode="clock-ms" /> },
          { label: "Full", value: <Time at={NOW} mode="full" />, hint: "in your zone" },
          { label: "Never", value: <Time at={undefined} /> },
          {
            label: "Durations",
            value: (
              <>
                <Duration ms={0.31} /> · <Duration ms={12_400} /> · <Duration ms={3_723_000} /> ·{" "}
                <Duration ms={260_000_000} />
              </>
            ),
          },
          {
            label: "Numbers",
            value: (
              <>
                <Num n={1234567} /> · <Percent n={0.974} /> · <Bytes n={12_400_000_000} />
              </>
            ),
          },
          { label: "Code", value: <CodeInline>{`job.${HOSTILE.long}`}</CodeInline> },
          { label: "Markup", value: <UserText>{HOSTILE.markup}</UserText> },
          {
            label: "Right to left",
            value: (
              <>
                <UserText>{HOSTILE.rightToLeft}</UserText> (12)
              </>
            ),
          },
          { label: "Bidi", value: <UserText>{HOSTILE.bidi}</UserText> },
          { label: "Long", value: <UserText lines={2}>{HOSTILE.long}</UserText> },
        ]}
      />
    </Card>
  );
}

const KINDS = ["line", "area", "bars"].map((value) => ({ value, label: value }));

function Charts() {
  const [kind, setKind] = useState("area");
  const [range, setRange] = useState("drag to choose a range");
  return (
    <div class="grid2">
      <ChartCard
        title="Deliveries"
        sub={range}
        x={lastMinutes(180)}
        kind={kind as "area"}
        onRange={(from, to) => setRange(`${Math.round((to - from) / 1000)} s chosen`)}
        series={[
          { label: "delivered", values: wave(180, 40, 120, 2), tone: "ok" },
          { label: "failed", values: wave(180, 0, 20, 7), tone: "bad" },
        ]}
        actions={<Segmented label="Kind" small value={kind} onChange={setKind} options={KINDS} />}
      />
      <ChartCard
        title="Success"
        x={lastMinutes(60)}
        kind="line"
        format={(n) => formatPercent(n / 100, 0)}
        series={[{ label: "success", values: wave(60, 80, 15, 9), tone: "accent" }]}
      />
      <ChartCard title="Empty" x={[]} series={[]} emptyText="No events in the last hour" />
      <ChartCard title="Failed" x={[]} series={[]} error={new Error("The database is busy")} retry={() => undefined} />
      <ChartCard title="Loading" x={[]} series={[]} loading />
      <Card title="Above a list">
        <Histogram
          title="Alerts by severity"
          from={lastMinutes(60)[0] ?? 0}
          stepMs={60_000}
          series={[
            { label: "critical", look: "critical", values: wave(60, 2, 2, 3) },
            { label: "error", look: "error", values: wave(60, 3, 2, 5) },
            { label: "warning", look: "warning", values: wave(60, 4, 3, 7) },
            { label: "info", look: "info", values: wave(60, 2, 2, 9) },
            { label: "without severity", look: "none", values: wave(60, 1, 1, 4) },
          ]}
          onRange={(from, to) => setRange(`${Math.round((to - from) / 1000)} s chosen`)}
        />
        <Histogram
          title="No alerts"
          from={0}
          stepMs={60_000}
          series={[{ label: "critical", look: "critical", values: [0, 0] }]}
        />
      </Card>
    </div>
  );
}

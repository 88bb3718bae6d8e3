import type { MirrorLine, MirrorReport, ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { SYSTEMS } from "../../app/mirror.tsx";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Banner,
  Card,
  type Column,
  choices,
  DataTable,
  Duration,
  EmptyState,
  formatNumber,
  Link,
  Loaded,
  plural,
  Select,
  Skeleton,
  StatCard,
  Time,
  type Tone,
  UserText,
} from "../../ui/index.ts";

type Class = MirrorLine["class"];

/** Those that need a look come first. */
const CLASSES: Readonly<Record<Class, { readonly text: string; readonly tone: Tone }>> = {
  missing: { text: "missing in Prism", tone: "bad" },
  "other-person": { text: "other person", tone: "bad" },
  later: { text: "later", tone: "warn" },
  earlier: { text: "earlier", tone: "plain" },
  extra: { text: "only in Prism", tone: "warn" },
  "not-comparable": { text: "not comparable", tone: "plain" },
  same: { text: "same", tone: "ok" },
};

const RANGES = choices({
  P1D: "The last day",
  P7D: "The last 7 days",
  P14D: "The last 14 days",
  P35D: "The last 35 days",
});
const DAYS: Readonly<Record<string, number>> = { P1D: 1, P7D: 7, P14D: 14, P35D: 35 };
const DAY_MS = 86_400_000;

const COLUMNS: readonly Column<MirrorLine>[] = [
  { label: "Result", cell: ({ class: of }) => <Badge {...CLASSES[of]} />, card: "aside", width: "min" },
  { label: "Alarm", cell: (line) => <Alarm line={line} />, card: "title", width: "wide" },
  { label: "There", cell: ({ old }) => <Side side={old} />, card: "text" },
  { label: "Here", cell: ({ prism }) => <Side side={prism} />, card: "text" },
  {
    label: "Later by",
    cell: ({ differenceMs }) => (differenceMs === null ? "" : <Duration ms={differenceMs} />),
    align: "end",
    width: "min",
  },
];

/** What a mirror would have done, beside what the other system did. */
export function MirrorReportView({ project }: { readonly project: ProjectDetail }) {
  const [range, choose] = useQueryState("days", "P7D");
  // As a duration: the same address shows the same days tomorrow.
  const from = new Date(Math.floor(Date.now() / 60_000) * 60_000 - (DAYS[range] ?? 7) * DAY_MS).toISOString();
  const query = useGet<MirrorReport>("/mirror/report", { project: project.id, from });
  return (
    <div class="stack">
      <Select small label="Days" value={range} options={RANGES} onChange={choose} />
      <Loaded query={query} skeleton={<Skeleton kind="cards" count={4} />}>
        {(report) => <Report report={report} />}
      </Loaded>
    </div>
  );
}

function Report({ report }: { readonly report: MirrorReport }) {
  const { counts, lines, linesLeftOut, isCut, observed, alarms, system, roomsWithNotices: rooms } = report;
  const other = system === null ? "The other system" : SYSTEMS[system as keyof typeof SYSTEMS];
  if (observed === 0 && lines.length === 0)
    return (
      <EmptyState
        title="Nothing to compare yet"
        text={`${other} has reported nothing in these days, and nothing would have been sent.`}
        command="prism mirror report"
      />
    );
  const same = counts.same + counts.earlier;
  return (
    <>
      <div class="grid4">
        <StatCard
          label="Missing in Prism"
          value={formatNumber(counts.missing)}
          tone={counts.missing > 0 ? "bad" : "ok"}
        />
        <StatCard
          label="Other person"
          value={formatNumber(counts.otherPerson)}
          tone={counts.otherPerson > 0 ? "bad" : "ok"}
        />
        <StatCard
          label="Later"
          value={formatNumber(counts.later)}
          sub={`${formatNumber(counts.extra)} only in Prism`}
        />
        <StatCard
          label="Same or earlier"
          value={formatNumber(same)}
          sub={`${plural(alarms, "alarm")}; ${formatNumber(counts.notComparable)} not comparable`}
        />
      </div>
      {rooms.length > 0 && (
        <Banner tone="info" title="Rooms that also get on-call notices">
          <UserText>{rooms.join(", ")}</UserText>: with the event types incident.* they have alarms alone.
        </Banner>
      )}
      {isCut && (
        <Banner tone="warn" title="There was more than could be compared">
          Choose fewer days.
        </Banner>
      )}
      <Card title="Notices in both" sub={`${other} beside Prism; what differs comes first.`} flush>
        <DataTable<MirrorLine>
          bare
          label="Notices in both"
          rows={lines}
          rowKey={(line) => String(lines.indexOf(line))}
          columns={COLUMNS}
          rowTone={({ class: of }) => (CLASSES[of].tone === "bad" ? "bad" : undefined)}
          empty={<EmptyState small title="No notice in these days" />}
        />
      </Card>
      {linesLeftOut > 0 && (
        <p class="muted">{`${plural(linesLeftOut, "more notice is", "more notices are")} not shown.`}</p>
      )}
    </>
  );
}

function Alarm({ line: { title, why, link, incident } }: { readonly line: MirrorLine }) {
  return (
    <>
      <UserText lines={1}>{title}</UserText>
      {why !== null && (
        <span class="muted">
          {" "}
          <UserText>{why}</UserText>
        </span>
      )}{" "}
      {link !== null && <Link href={href(link)}>{incident === null ? "Explain" : `#${incident.number}`}</Link>}
    </>
  );
}

function Side({
  side,
}: {
  readonly side: { readonly at: string; readonly person: string | null; readonly way: string | null } | null;
}) {
  if (side === null) return <span class="faint">—</span>;
  return (
    <span>
      <UserText>{side.person ?? side.way ?? "someone"}</UserText> <Time at={side.at} mode="clock" />
    </span>
  );
}

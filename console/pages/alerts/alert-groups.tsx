import type { VNode } from "preact";
import type { Alert, AlertStats } from "../../../src/client/api-types.gen.ts";
import { Card, plural, Sparkline } from "../../ui/index.ts";
import { labelText, nameOf } from "./alert-types.ts";
import { GroupSilences } from "./group-silences.tsx";

interface Group {
  readonly value: string;
  readonly alerts: readonly Alert[];
}

/** The alerts by the value of a label; the group of the first alert comes first, so the most severe does. */
function groupsOf(alerts: readonly Alert[], label: string): readonly Group[] {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const value = alert.labels[label] ?? "";
    groups.set(value, [...(groups.get(value) ?? []), alert]);
  }
  return [...groups].map(([value, members]) => ({ value, alerts: members }));
}

interface Props {
  readonly alerts: readonly Alert[];
  /** The name of the label. */
  readonly label: string;
  readonly stats: AlertStats | undefined;
  readonly table: (rows: readonly Alert[], label: string) => VNode;
}

/** Alerts in groups: what all of a group share is said once, and how often it began in a day is drawn. */
export function AlertGroups({ alerts, label, stats, table }: Props) {
  const byName = label === "alertname";
  return (
    <div class="stack alert-groups">
      {groupsOf(alerts, label).map(({ value, alerts: members }) => {
        const title = byName ? value : `${label}=${value}`;
        const began = byName ? stats?.names?.find(({ name }) => name === value) : undefined;
        return (
          <Card
            key={value}
            flush
            title={value === "" ? `without ${label}` : title}
            sub={<Shared alerts={members} />}
            actions={began && <Began counts={began.counts} total={began.total} />}
          >
            <GroupSilences alerts={members} />
            {table(members, value || "Alerts")}
          </Card>
        );
      })}
    </div>
  );
}

/** "3 alerts", and what all of them have. */
function Shared({ alerts }: { readonly alerts: readonly Alert[] }) {
  const [first] = alerts;
  if (!first || alerts.length < 2) return null;
  const summary = nameOf(first);
  const isSame = alerts.every((alert) => nameOf(alert) === summary) && summary !== first.labels["alertname"];
  const common = Object.keys(first.labels)
    .filter((name) => name !== "alertname" && name !== "severity")
    .filter((name) => alerts.every(({ labels }) => labels[name] === first.labels[name]));
  return (
    <>
      {plural(alerts.length, "alert")}
      {isSame && <span class="alert-summary">{summary}</span>}
      {common.length > 0 && (
        <span class="mono alert-shared">{common.map((name) => labelText(first, name)).join("  ")}</span>
      )}
    </>
  );
}

function Began({ counts, total }: { readonly counts: readonly number[]; readonly total: number }) {
  const text = `${total} in 24 h`;
  return (
    <span class="alert-began">
      <Sparkline values={counts} label={`Began: ${text}`} />
      <span class="muted small num">{text}</span>
    </span>
  );
}

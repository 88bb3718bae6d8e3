import type { Alert } from "../../../src/client/api-types.gen.ts";
import type { Matcher } from "../../app/matchers.ts";
import { Button, Card } from "../../ui/index.ts";

/** Of a label; the rest is in the field for labels. */
const SHOWN_VALUES = 6;
/** `severity` and the name have filters and groups of their own. */
const ELSEWHERE: ReadonlySet<string> = new Set(["alertname", "severity"]);

interface Props {
  readonly alerts: readonly Alert[];
  readonly onAdd: (matcher: Matcher) => void;
}

/** How many of the alerts in the list have each value of the labels that differ; a value is a filter. */
export function LabelCounts({ alerts, onAdd }: Props) {
  const labels = countsOf(alerts);
  if (labels.length === 0) return null;
  return (
    <Card title="Labels of these alerts">
      <dl class="label-counts">
        {labels.map(({ name, values }) => (
          <div key={name}>
            <dt class="mono">{name}</dt>
            <dd>
              {values.slice(0, SHOWN_VALUES).map(({ value, count }) => (
                <Button small key={value} onClick={() => onAdd({ name, operator: "=", value })}>
                  <bdi>{value === "" ? '""' : value}</bdi> <span class="muted num">{count}</span>
                </Button>
              ))}
              {values.length > SHOWN_VALUES && (
                <span class="muted small">{values.length - SHOWN_VALUES} more values</span>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

/** Labels with more than one value, those with the fewest first: they split the list best. */
function countsOf(alerts: readonly Alert[]) {
  const counts = new Map<string, Map<string, number>>();
  for (const { labels } of alerts)
    for (const [name, value] of Object.entries(labels)) {
      if (ELSEWHERE.has(name)) continue;
      const values = counts.get(name) ?? new Map<string, number>();
      counts.set(name, values.set(value, (values.get(value) ?? 0) + 1));
    }
  return [...counts]
    .filter(([, values]) => values.size > 1)
    .map(([name, values]) => ({
      name,
      values: [...values].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count),
    }))
    .sort((a, b) => a.values.length - b.values.length || a.name.localeCompare(b.name));
}

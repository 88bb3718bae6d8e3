import type { Stats } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useQuery } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { filtersOf, rangeOf } from "../../app/time-range.tsx";
import { Card, Histogram } from "../../ui/index.ts";
import type { FilterValues } from "./filters.ts";

const STEP_MS = 1_800_000;
const DAY_MS = 86_400_000;
/** The gravest first. */
const LEVELS = [
  ["fatal", "critical"],
  ["error", "error"],
  ["warn", "warning"],
  ["info", "info"],
  ["debug", "none"],
] as const;

/** The start of the day that ends with the bucket of now. */
function dayBefore(now: number): number {
  return Math.floor(now / STEP_MS + 1) * STEP_MS - DAY_MS;
}

interface Props {
  readonly filters: FilterValues;
  readonly onRange: (changes: { readonly from: string; readonly to: string }) => void;
}

/** How many events of the project arrived in each half hour of the last day, by level. */
export function EventHistogram({ filters, onRange }: Props) {
  const { project } = filters;
  const { data, reload } = useQuery<Stats>(`/stats events ${project}`, () =>
    api.get<Stats>("/stats", {
      ...{ parts: "events", stepMs: STEP_MS, from: new Date(dayBefore(Date.now())).toISOString() },
      ...(project !== "" && { projectId: project }),
    }),
  );
  useRefresh(reload, IDLE_MS, IDLE_MS);
  if (data && data.events === null) return null;
  const note = `of every type, Prism's own too${data?.events?.estimated ? ", estimated" : ""}`;
  return (
    <div class="with-filters">
      <Card>
        <Histogram
          title="Events, last 24 hours"
          from={data ? Date.parse(data.from) : 0}
          stepMs={STEP_MS}
          series={LEVELS.map(([label, look]) => ({ label, look, values: data?.events?.series[label] ?? [] }))}
          chosen={rangeOf(filters)}
          note={note}
          onRange={(from, to) => onRange(filtersOf(from, to))}
        />
      </Card>
    </div>
  );
}

import type { AlertStats } from "../../../src/client/api-types.gen.ts";
import { navigate } from "../../app/navigate.ts";
import { refresh, useGet } from "../../app/query.ts";
import { useProjectChanges } from "../../app/refresh.ts";
import { filtersOf } from "../../app/time-range.tsx";
import { Card, Histogram } from "../../ui/index.ts";
import { cutNote, seriesOf } from "../alerts/alert-series.ts";

const STEP_MS = 1_800_000;
const EVERY_MS = 5000;

/** How many alerts began in each half hour of the last day, by severity. */
export function AlertDay() {
  const { data: stats } = useGet<AlertStats>("/alerts/stats", { stepMs: STEP_MS });
  useProjectChanges(/^alert\./, () => refresh("/alerts/stats"), { everyMs: EVERY_MS, isExact: false });
  return (
    <Card>
      <Histogram
        title="Alerts, last 24 hours"
        from={stats ? Date.parse(stats.from) : 0}
        stepMs={STEP_MS}
        series={seriesOf(stats)}
        note={cutNote(stats)}
        onRange={(from, to) => navigate(`/alerts?${new URLSearchParams(filtersOf(from, to))}`)}
      />
    </Card>
  );
}

import type { AlertStats } from "../../../src/client/api-types.gen.ts";
import type { HistogramSeries } from "../../ui/index.ts";

/** The gravest first. */
const LOOKS = ["critical", "error", "warning", "info", "none"] as const;

/** The figures of alerts as the series of a histogram. */
export function seriesOf(stats: AlertStats | undefined): readonly HistogramSeries[] {
  return LOOKS.map((look) => ({
    look,
    label: look === "none" ? "without severity" : look,
    values: stats?.series[look] ?? [],
  }));
}

/** What is not counted, in words. */
export function cutNote(stats: AlertStats | undefined): string | undefined {
  return stats?.isCut ? "Only the latest 5,000 resolved ones are counted" : undefined;
}

import type { Counter, Metrics } from "../../../core/metrics.ts";
import type { AlertSource } from "../../../store/schema.ts";
import type { AlertOutcome } from "../types.ts";

/** Counts inputs by source and result. */
export type CountInput = (source: AlertSource, status: AlertOutcome["status"]) => void;

export function alertMetrics(
  metrics: Metrics,
  count: () => { readonly firing: number; readonly pending: number },
): CountInput {
  metrics.gauge("prism_alerts", "Live alerts", () =>
    Object.entries(count()).map(([state, value]): [{ state: string }, number] => [{ state }, value]),
  );
  const series = metrics.counter("prism_alert_inputs_total", "What sources reported, by result");
  const counters = new Map<string, Counter>();
  return (source, status) => {
    const name = `${source} ${status}`;
    let counter = counters.get(name);
    if (!counter) {
      counter = series({ source, result: status });
      counters.set(name, counter);
    }
    counter.add();
  };
}

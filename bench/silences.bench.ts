/**
 * Cost of 10 000 silences against 100 000 firing alerts of 10 labels. First one alert: the index of
 * silences compared with testing every silence. Then one silence: finding the alerts that a new one
 * hits, and the alerts of many windows that begin at the same time. Compare only figures of one run.
 */
import "../scripts/node-version.mjs";
import { mkdirSync, writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { type Labels, labelsOf, labelValue } from "../src/features/alerts/model/labels.ts";
import { type Matcher, parseMatcher } from "../src/features/alerts/model/matchers.ts";
import {
  type CompiledMatcher,
  compiled,
  matchesAll,
  SilenceIndex,
} from "../src/features/alerts/silences/silence-index.ts";

const ALERTS = 100_000;
const SILENCES = 10_000;
/** Silences without an exact value. */
const PATTERNS = 100;
const SCANNED = 2_000;
const ROUNDS = 5;
const RESULTS = new URL("./results/silences.json", import.meta.url);

class BenchAlert {
  readonly #labels: Labels;

  constructor(n: number) {
    this.#labels = labelsOf({
      alertname: `Alert${n % 300}`,
      cluster: `c${n % 8}`,
      container: `main-${n % 40}`,
      env: n % 3 === 0 ? "prod" : "test",
      instance: `host-${n % 20_000}:9100`,
      job: `job-${n % 120}`,
      namespace: `ns-${n % 400}`,
      pod: `pod-${n}`,
      severity: ["info", "warning", "critical"][n % 3] ?? "info",
      team: `team-${n % 25}`,
    });
  }

  label(name: string): string {
    return labelValue(this.#labels, name);
  }
}

interface BenchSilence {
  readonly matchers: readonly CompiledMatcher[];
}

function silenceOf(n: number): BenchSilence {
  const texts =
    n < PATTERNS
      ? [`instance=~"host-${n}[0-9]*:.*"`, 'env!="dev"']
      : [`alertname="Alert${n % 300}"`, `instance="host-${(n * 7) % 20_000}:9100"`, 'severity=~"warning|critical"'];
  return { matchers: compiled(texts.map((text): Matcher => parseMatcher(text))) };
}

/** Median over rounds of the milliseconds of `work`. */
function medianMs(work: () => unknown): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

const alerts = Array.from({ length: ALERTS }, (_, n) => new BenchAlert(n));
const heapBefore = heapMb();
const silences = Array.from({ length: SILENCES }, (_, n) => silenceOf(n));
const index = new SilenceIndex<BenchSilence>();
const indexMs = medianMs(() => {
  for (const silence of silences) index.delete(silence);
  for (const silence of silences) index.add(silence);
});

let hits = 0;
const indexedMs = medianMs(() => {
  hits = 0;
  for (const alert of alerts) hits += index.matching(alert).length;
});
const scannedMs = medianMs(() => {
  for (const alert of alerts.slice(0, SCANNED)) silences.filter((silence) => matchesAll(silence, alert));
});
const newSilence = { matchers: compiled([parseMatcher('namespace="ns-7"'), parseMatcher('env="prod"')]) };
const newMs = medianMs(() => alerts.filter((alert) => matchesAll(newSilence, alert)));
const windowsMs = medianMs(() => {
  const windows = new SilenceIndex<BenchSilence>();
  for (const silence of silences.slice(PATTERNS, PATTERNS + 1000)) windows.add(silence);
  for (const alert of alerts) windows.matching(alert);
});

const figures = {
  alerts: ALERTS,
  silences: SILENCES,
  hits,
  perAlertUs: round((indexedMs * 1000) / ALERTS),
  perAlertByScanUs: round((scannedMs * 1000) / SCANNED),
  buildIndexMs: round(indexMs),
  newSilenceMs: round(newMs),
  thousandWindowsMs: round(windowsMs),
  silencesMb: round(heapMb() - heapBefore),
};
console.table(figures);
mkdirSync(new URL(".", RESULTS), { recursive: true });
writeFileSync(RESULTS, `${JSON.stringify(figures, null, 2)}\n`);

function heapMb(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1_048_576;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

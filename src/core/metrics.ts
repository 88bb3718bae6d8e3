import { readdirSync, readFileSync, statSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { VERSION } from "./runtime.ts";

/**
 * Prometheus text exposition format 0.0.4. Own code, because the hot path increments a series as a
 * plain number without a look-up.
 */

export interface Counter {
  add(by?: number): void;
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
}

export type MetricLabels = Readonly<Record<string, string>>;
/** Returns one number, or one per set of labels. */
type Read = () => number | Iterable<readonly [MetricLabels, number]>;

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  render(lines: string[]): void;
}

/** Covers the request and commit times of this program, 0.5 ms to 10 s. */
export const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export class Metrics {
  readonly #families = new Map<string, Family>();

  /**
   * @returns a function that returns the series of a set of labels and creates it on first use.
   * Keep label values bounded.
   */
  counter(name: string, help: string): (labels?: MetricLabels) => Counter {
    const series = new Map<string, { value: number; add(by?: number): void }>();
    this.#register({
      name,
      help,
      type: "counter",
      render: (lines) => {
        for (const [labels, counter] of series) lines.push(`${name}${labels} ${counter.value}`);
      },
    });
    return (labels) => {
      const key = renderLabels(labels);
      let counter = series.get(key);
      if (!counter) {
        counter = {
          value: 0,
          add(by = 1) {
            this.value += by;
          },
        };
        series.set(key, counter);
      }
      return counter;
    };
  }

  histogram(name: string, help: string, bounds: readonly number[]): (labels?: MetricLabels) => Histogram {
    const series = new Map<string, BucketHistogram>();
    this.#register({
      name,
      help,
      type: "histogram",
      render: (lines) => {
        for (const [labels, histogram] of series) histogram.render(lines, name, labels);
      },
    });
    return (labels) => {
      const key = renderLabels(labels);
      let histogram = series.get(key);
      if (!histogram) {
        histogram = new BucketHistogram(bounds);
        series.set(key, histogram);
      }
      return histogram;
    };
  }

  /** A histogram kept elsewhere, read at each scrape. @param read counts by bucket, the last of all larger values */
  histogramOf(
    name: string,
    help: string,
    bounds: readonly number[],
    read: () => { readonly counts: ArrayLike<number>; readonly sum: number },
  ): void {
    this.#register({
      name,
      help,
      type: "histogram",
      render: (lines) => renderHistogram(lines, { name, labels: "", bounds, ...read() }),
    });
  }

  /** A value that is read at each scrape. */
  gauge(name: string, help: string, read: Read): void {
    this.#read("gauge", name, help, read);
  }

  /** A counter kept elsewhere, read at each scrape. */
  counterOf(name: string, help: string, read: Read): void {
    this.#read("counter", name, help, read);
  }

  render(): string {
    const lines: string[] = [];
    for (const family of this.#families.values()) {
      lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`);
      family.render(lines);
    }
    return `${lines.join("\n")}\n`;
  }

  #read(type: "counter" | "gauge", name: string, help: string, read: Read): void {
    this.#register({
      name,
      help,
      type,
      render: (lines) => {
        const value = read();
        if (typeof value === "number") lines.push(`${name} ${renderValue(value)}`);
        else for (const [labels, each] of value) lines.push(`${name}${renderLabels(labels)} ${renderValue(each)}`);
      },
    });
  }

  #register(family: Family): void {
    if (this.#families.has(family.name)) throw new TypeError(`metric ${family.name} exists already`);
    this.#families.set(family.name, family);
  }
}

class BucketHistogram implements Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    this.#sum += value;
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  render(lines: string[], name: string, labels: string): void {
    renderHistogram(lines, { name, labels, bounds: this.#bounds, counts: this.#counts, sum: this.#sum });
  }
}

interface HistogramValues {
  readonly name: string;
  readonly labels: string;
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

function renderHistogram(lines: string[], { name, labels, bounds, counts, sum }: HistogramValues): void {
  const inner = labels === "" ? "" : `${labels.slice(1, -1)},`;
  let cumulative = 0;
  bounds.forEach((bound, at) => {
    cumulative += counts[at] as number;
    lines.push(`${name}_bucket{${inner}le="${bound}"} ${cumulative}`);
  });
  cumulative += counts[bounds.length] as number;
  lines.push(`${name}_bucket{${inner}le="+Inf"} ${cumulative}`, `${name}_sum${labels} ${sum}`);
  lines.push(`${name}_count${labels} ${cumulative}`);
}

function renderValue(value: number): string {
  return String(value).replace(/^(-?)Infinity$/, (_, sign: string) => `${sign || "+"}Inf`);
}

function renderLabels(labels: MetricLabels | undefined): string {
  if (!labels) return "";
  const parts = Object.entries(labels).map(([key, value]) => `${key}="${value.replace(/[\\"\n]/g, escapeLabel)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escapeLabel(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}

/** Labels for single projects: each is a series for ever. */
const TOP = 20;

/** The projects with the highest values, and all others as one. @param others their further values */
export function topProjects(
  values: Iterable<readonly [string, number]>,
  others = 0,
): (readonly [MetricLabels, number])[] {
  const sorted = [...values].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(TOP).reduce((sum, [, value]) => sum + value, others);
  const shown = sorted.slice(0, TOP).map(([project, value]) => [{ project }, value] as const);
  return rest === 0 ? shown : [...shown, [{ project: "other" }, rest]];
}

/** As in prom-client. */
const GC_BUCKETS = [0.001, 0.01, 0.1, 1, 2, 5];

/* A node of a cluster that begins to lead has metrics of its own; the process is the same. */
let delay: ReturnType<typeof monitorEventLoopDelay> | null = null;
let collections: { readonly counts: number[]; sum: number } | null = null;

/**
 * Metrics that dashboards for Node processes expect, with the names of prom-client, and the delay of
 * the event loop. @param startedAt of the process, in epoch ms
 */
export function registerProcessMetrics(metrics: Metrics, startedAt: number): void {
  metrics.gauge("prism_eventloop_lag_seconds", "Longest delay of the event loop since the last reading", longestDelay);
  metrics.gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  metrics.gauge("process_start_time_seconds", "Start of the process since 1970", () => startedAt / 1000);
  metrics.counterOf("process_cpu_seconds_total", "Processor time of user and system", () => {
    const { user, system: kernel } = process.cpuUsage();
    return (user + kernel) / 1e6;
  });
  metrics.gauge("prism_build_info", "Version of the server; always 1", () => [[{ version: VERSION }, 1]]);
  const maxDescriptors = readLimit();
  metrics.gauge("process_open_fds", "Open file descriptors", openDescriptors);
  metrics.gauge("process_max_fds", "Limit of open file descriptors", () => maxDescriptors);
  metrics.gauge("nodejs_heap_size_total_bytes", "Heap that is reserved", () => process.memoryUsage().heapTotal);
  metrics.gauge("nodejs_heap_size_used_bytes", "Heap that is used", () => process.memoryUsage().heapUsed);
  metrics.gauge("nodejs_external_memory_bytes", "Memory outside of the heap", () => process.memoryUsage().external);
  const times = collectionTimes();
  metrics.histogramOf("nodejs_gc_duration_seconds", "Time spent collecting garbage", GC_BUCKETS, () => times);
}

/** Its timer wakes the process fifty times a second: it begins at the first reading, which answers 0. */
function longestDelay(): number {
  if (delay === null) {
    delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    return 0;
  }
  const seconds = delay.max / 1e9;
  delay.reset();
  return seconds;
}

/** Counts by bucket, and their sum in seconds. */
function collectionTimes(): { readonly counts: readonly number[]; readonly sum: number } {
  if (collections === null) {
    const times = { counts: new Array<number>(GC_BUCKETS.length + 1).fill(0), sum: 0 };
    collections = times;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        const seconds = duration / 1000;
        const bucket = GC_BUCKETS.findIndex((bound) => seconds <= bound);
        const at = bucket < 0 ? GC_BUCKETS.length : bucket;
        times.counts[at] = (times.counts[at] ?? 0) + 1;
        times.sum += seconds;
      }
    }).observe({ entryTypes: ["gc"] });
  }
  return collections;
}

const DESCRIPTORS = "/proc/self/fd";

/**
 * The directory's size is the number since Linux 6.2; before, its entries are counted. 0 if the
 * system does not provide it.
 */
function openDescriptors(): number {
  try {
    return statSync(DESCRIPTORS).size || readdirSync(DESCRIPTORS).length;
  } catch {
    return 0;
  }
}

/** The soft limit; 0 if the system does not provide it. */
function readLimit(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

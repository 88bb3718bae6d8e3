import { Metrics, registerProcessMetrics, SECONDS_BUCKETS } from "../../core/metrics.ts";

/** What metrics show of the node that leads. */
interface LeaderState {
  readonly term: number;
  readonly sequence: number;
  readonly appends: { readonly counts: readonly number[]; readonly sum: number };
  readonly refused: Readonly<Record<string, number>>;
  readonly servers: Readonly<Record<string, number>>;
  /** The leader first. */
  nodes(): readonly FollowerOfLeader[];
}

interface FollowerOfLeader {
  readonly name: string;
  readonly lagRecords: number;
  readonly lagMs: number;
  /** Epoch ms. */
  readonly heardAt: number;
}

/** What a node that follows knows of itself. */
interface FollowerState {
  readonly node: string;
  readonly hasLeader: boolean;
  readonly term: number;
  readonly sequence: number;
  readonly lag: { readonly records: number; readonly ms: number };
  /** Requests answered with 503, by code. */
  readonly refused: Readonly<Record<string, number>>;
}

const LEADER = ["prism_cluster_leader", "1 at the node that leads"] as const;
const TERM = ["prism_cluster_term", "Number of leaders so far"] as const;
const APPLIED = ["prism_cluster_applied", "Last record of the log that this node has applied"] as const;
const LAG_RECORDS = ["prism_cluster_lag_records", "Records that a node has not applied"] as const;
const LAG_MS = ["prism_cluster_lag_ms", "Age of the last record that a node has applied; 0: it has all"] as const;
const REFUSED = ["prism_cluster_refused_total", "Requests answered with 503 because no node led"] as const;

/** Metrics of the node that leads. */
export function registerLeaderMetrics(lead: LeaderState, metrics: Metrics): void {
  const ofNodes = (value: (node: FollowerOfLeader) => number) => () => {
    const [, ...others] = lead.nodes();
    return others.map((node) => [{ node: node.name }, value(node)] as const);
  };
  metrics.gauge(...LEADER, () => 1);
  metrics.gauge(...TERM, () => lead.term);
  metrics.gauge(...APPLIED, () => lead.sequence);
  metrics.gauge(
    ...LAG_RECORDS,
    ofNodes(({ lagRecords }) => lagRecords),
  );
  metrics.gauge(
    ...LAG_MS,
    ofNodes(({ lagMs }) => lagMs),
  );
  metrics.gauge(
    "prism_cluster_heard_seconds",
    "Since another node was heard",
    ofNodes(({ heardAt }) => Math.max(0, Date.now() - heardAt) / 1000),
  );
  metrics.gauge("prism_cluster_log_servers", "nats-servers that have all of the log, not yet, or are gone", () =>
    Object.entries(lead.servers).map(([state, count]) => [{ state }, count] as const),
  );
  metrics.histogramOf(
    "prism_cluster_append_seconds",
    "From sending a record to its acceptance by most servers of the log",
    SECONDS_BUCKETS,
    () => lead.appends,
  );
  registerRefused(metrics, () => lead.refused);
}

/** Metrics of a node that follows, and of its process. */
export function followerMetrics(state: () => FollowerState): Metrics {
  const metrics = new Metrics();
  metrics.gauge(...LEADER, () => 0);
  metrics.gauge("prism_cluster_has_leader", "1 while this node hears a leader", () => Number(state().hasLeader));
  metrics.gauge(...TERM, () => state().term);
  metrics.gauge(...APPLIED, () => state().sequence);
  metrics.gauge(...LAG_RECORDS, () => [[{ node: state().node }, state().lag.records] as const]);
  metrics.gauge(...LAG_MS, () => [[{ node: state().node }, state().lag.ms] as const]);
  registerRefused(metrics, () => state().refused);
  registerProcessMetrics(metrics, Math.round(performance.timeOrigin));
  return metrics;
}

function registerRefused(metrics: Metrics, refused: () => Readonly<Record<string, number>>): void {
  metrics.counterOf(...REFUSED, () => Object.entries(refused()).map(([code, n]) => [{ code }, n] as const));
}

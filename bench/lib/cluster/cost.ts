import { untilCurrent } from "../../../test/cluster/support/current.ts";
import { startNats } from "../../../test/cluster/support/nats.ts";
import { type ClusterNode, startCluster } from "../../../test/cluster/support/nodes.ts";
import { eventually } from "../../../test/helpers/eventually.ts";
import { type Scope, withScope } from "../../../test/helpers/scope.ts";
import { addRules, eventBodies, setUp } from "../prism-setup.ts";
import { processorTime } from "../process-figures.ts";
import { startPrism } from "../processes.ts";
import { median, type Row, round, SECONDS } from "../report.ts";
import { type LoadResult, runWrk } from "../wrk.ts";

/* What a cluster costs beside a single server under the same load. */

const CONNECTIONS = 256;
const RULES = 10;
/** Lets the engine compile hot code and the writer move to its thread. */
const WARM_UP_SECONDS = 1;
/** As bench/lib/processes.ts sets them; `info` shows that a node follows. */
const SETTINGS = { PRISM_RATE_LIMIT_USER: "1000000", PRISM_SUPPRESSION_ENFORCE_DEFAULT: "false" };

/** Microseconds of processor time per event, by part, and the rate of both. */
type Sample = Readonly<Record<string, number>>;

/** Both in turns; medians with the smallest and largest value. */
export async function measureCost(pairs: number): Promise<Row[]> {
  const samples: Sample[] = [];
  for (let i = 0; i < pairs; i++) {
    const first = i % 2 === 0 ? await withScope(single) : null;
    const cluster = await withScope(leading);
    samples.push(together(first ?? (await withScope(single)), cluster));
  }
  return Object.keys(samples[0] ?? {}).map((figure) => {
    const values = samples.map((sample) => sample[figure] ?? Number.NaN);
    const [low, high] = [Math.min(...values), Math.max(...values)].map((each) => round(each, 1));
    return { figure, median: round(median(values), 1), spread: `${low} to ${high}` };
  });
}

function together(one: Sample, cluster: Sample): Sample {
  const more = (cluster["µs, leader"] ?? Number.NaN) - (one["µs, single server"] ?? Number.NaN);
  return { "µs, leader above a single server": more, ...one, ...cluster };
}

async function single(scope: Scope): Promise<Sample> {
  const server = await startPrism({ env: { PRISM_LOG_LEVEL: "info" } });
  scope.after(() => server.stop());
  const load = await loadOf(server.url);
  const used = usage([server.pid]);
  const { requestsPerSecond } = await load(SECONDS);
  const figures = partsOf("single server", used(), requestsPerSecond * SECONDS);
  return { ...figures, "events/s, single server": requestsPerSecond };
}

async function leading(scope: Scope): Promise<Sample> {
  const servers = await startNats(scope, 3);
  const cluster = await startCluster(scope, servers, ["a", "b"], SETTINGS);
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader) as ClusterNode;
  await eventually("the leader has begun its work", () => leader.output.includes("Prism is ready"));
  const load = await loadOf(leader.url);
  await untilCurrent(cluster, servers);
  const used = {
    leader: usage(leader.pids),
    follower: usage(follower.pids),
    servers: usage(servers.map(({ child }) => child.pid ?? 0)),
  };
  const begin = await leader.position();
  const { requestsPerSecond } = await load(SECONDS);
  const atLeader = used.leader();
  const end = await leader.position();
  await eventually("the follower has applied all", async () => (await follower.position()) >= end);
  const events = requestsPerSecond * SECONDS;
  return {
    ...partsOf("leader", atLeader, events),
    "µs, follower": perEvent(used.follower().total, events),
    "µs, three nats-servers": perEvent(used.servers().total, events),
    "events in a record": events / (end - begin),
    "events/s, cluster": requestsPerSecond,
  };
}

interface Usage {
  readonly total: number;
  readonly main: number;
  /** Of the threads beside the main one, the busiest first. */
  readonly others: readonly number[];
}

/** Begins to count. @returns the processor time since then, in seconds */
function usage(pids: readonly number[]): () => Usage {
  const from = pids.map(processorTime);
  return () => {
    const since = pids.map((pid, i) => {
      const now = processorTime(pid);
      const each = [...now.threads].map(([id, used]) => ({ id, used: used - (from[i]?.threads.get(id) ?? 0) }));
      const others = each.filter(({ id }) => id !== String(pid)).map(({ used }) => used);
      return { total: now.total - (from[i]?.total ?? 0), main: now.main - (from[i]?.main ?? 0), others };
    });
    return {
      total: since.reduce((sum, { total }) => sum + total, 0),
      main: since.reduce((sum, { main }) => sum + main, 0),
      others: since.flatMap(({ others }) => others).sort((a, b) => b - a),
    };
  };
}

function partsOf(name: string, { total, main, others }: Usage, events: number): Sample {
  return {
    [`µs, ${name}`]: perEvent(total, events),
    [`µs, ${name}, main thread`]: perEvent(main, events),
    [`µs, ${name}, busiest other thread`]: perEvent(others[0] ?? 0, events),
    [`µs, ${name}, next one`]: perEvent(others[1] ?? 0, events),
  };
}

function perEvent(seconds: number, events: number): number {
  return (seconds * 1e6) / events;
}

/** Prepares a server, and warms it up. */
async function loadOf(url: string): Promise<(seconds: number) => Promise<LoadResult>> {
  const setup = await setUp({ url });
  await addRules({ url }, setup, RULES);
  const headers = { "Content-Type": "application/json", "X-API-Key": setup.apiKey };
  const run = async (seconds: number): Promise<LoadResult> => {
    const load = { url: `${url}/events`, connections: CONNECTIONS, headers, bodies: eventBodies() };
    const result = await runWrk({ ...load, seconds });
    if (result.errors > 0) throw new Error(`${result.errors} requests were refused`);
    return result;
  };
  await run(WARM_UP_SECONDS);
  return run;
}

import type { Command } from "commander";
import { partsOfBuild, type RuntimeParts, VERSION } from "../../../core/runtime.ts";
import { ageText, bytesText, countText } from "../../../core/text/clean-text.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import type { systemStatus } from "../../../features/health/status/status.ts";
import { followerHere, followingText } from "../../../remote/running-server.ts";
import { type CommandContext, isOnline } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { type Output, printable, table } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { tokenOf } from "../../server-of.ts";

type Status = Awaited<ReturnType<typeof systemStatus>>;
type Queue = Status["queues"][number];

/** State of a running server, and the program's version. */
export function addStatus(program: Command): void {
  single(program, "status", {
    text: "show health, version, queues, connections and storage of a server; exits 8 when degraded",
    examples: ["", "--strict", "--json | jq -r .status"],
    flags: {
      strict: [
        "--strict",
        "exit 8 also when something needs attention: paused, failing or dead deliveries, jobs, modules",
      ],
    },
    mustRun: true,
    act: statusOfFollower,
    get: ({ server }) => server.get<Status>("/api/v1/status"),
    lines: (status: Status, { out }) => statusLines(status, out),
    after(status: Status, { given: { strict } }) {
      if (status.status !== "ok") throw new CommandError(EXIT.checkFailed, `the server is ${status.status}`);
      const found = strict ? troublesOf(status) : [];
      if (found.length > 0) throw new CommandError(EXIT.checkFailed, `the server needs attention: ${found.join(", ")}`);
    },
  });
  single(program, "version", {
    text: "print the version of Prism and of its Node.js",
    examples: ["", "--all --json"],
    flags: { all: ["--all", "also the commit, SQLite, uWebSockets, the glibc that it needs, and the platform"] },
    act({ out }, { all }) {
      const { version: node } = process;
      if (!all) return out.result({ version: VERSION, node }, () => `${VERSION}  (Node.js ${node.slice(1)})`);
      const parts = { version: VERSION, ...partsOfBuild(), node };
      out.result(parts, () => partLines(parts));
    },
  });
}

/** Without a token a node that follows says what it does; with one it passes the request on. */
async function statusOfFollower(context: CommandContext): Promise<false | undefined> {
  if (isOnline(context) || tokenOf(context) !== undefined) return false;
  const follower = await followerHere(context.loadConfig("none").config);
  if (follower === null) return false;
  const { node, leader, version, isDegraded, spooled } = follower;
  const status = leader === null ? "no leader" : "ok";
  const shown = { status, role: "standby", node, leader, degraded: isDegraded, spooled, version };
  const rows = [
    ["node", `${node}, ${followingText(follower)}`],
    ...(isDegraded ? [["pages", "leave from a copy of the database of this node"] as const] : []),
    ...(spooled === null ? [] : [["wait for the next leader", countText(spooled, "request")] as const]),
    ["version", version],
    ["state of the cluster", "prism cluster status, or this command with a token (--token, PRISM_TOKEN)"],
  ] as const;
  context.out.result(shown, () => table(["STATUS", status], rows));
  if (leader === null) throw new CommandError(EXIT.checkFailed, "no node leads");
  return undefined;
}

function partLines(parts: RuntimeParts & { readonly version: string; readonly node: string }): string[] {
  const { version, commit, node, sqlite, uWebSockets, glibc, platform } = parts;
  return table(
    ["prism", version],
    [
      ["commit", commit === null ? null : commit.slice(0, 8)],
      ["Node.js", node.slice(1)],
      ["SQLite", sqlite],
      ["uWebSockets", uWebSockets],
      ["glibc", glibc === null ? null : `${glibc} or newer`],
      ["platform", platform],
    ],
  );
}

/** Parts that work only partly or not at all, although the server itself is healthy. */
function troublesOf({ queues, modules, paused, ways, pages, watch, cluster, configuration }: Status): string[] {
  const dead = queues.reduce((sum, queue) => sum + queue.dead, 0);
  const failed = modules.filter(({ state }) => state === "failed");
  const unreached = pages.incidentsUnreached;
  return [
    ...(dead === 0 ? [] : [dead === 1 ? "1 dead job" : `${dead} dead jobs`]),
    ...queues.filter((queue) => queue.paused).map(({ name }) => `queue ${name} paused`),
    ...paused.map((each) => `${pausedText(each)} paused`),
    ...ways.map(({ name }) => printable(`${name} accepts no pages`)),
    ...failed.map(({ name }) => printable(`module ${name} failed`)),
    ...(unreached === 0 ? [] : [unreached === 1 ? "1 incident reaches no one" : `${unreached} incidents reach no one`]),
    ...watch.emergency.raised.map(({ text }) => printable(text)),
    ...clusterWarnings(cluster),
    ...configurationProblems(configuration),
  ];
}

/** A server of an earlier version does not list them. */
function configurationProblems(problems: Status["configuration"] | undefined): string[] {
  return (problems ?? []).map(printable);
}

/** A server of an earlier version does not list them. */
function clusterWarnings(cluster: Status["cluster"]): string[] {
  return (cluster?.warnings ?? []).map(printable);
}

/** A server of an earlier version does not name the target. */
function pausedText({ channel, target = "" }: { readonly channel: string; readonly target?: string }): string {
  return printable(target === "" ? channel : `${channel} ${target}`);
}

function statusLines(status: Status, out: Output): string[] {
  const {
    version,
    uptimeMs,
    database,
    queues,
    realtime,
    rules,
    modules,
    paused,
    consumers,
    ways,
    unproven,
    fullProjects,
    pages,
    warnings,
    watch,
  } = status;
  const failed = Object.entries(status.checks).filter(([, value]) => value !== "ok" && value !== true);
  const broken = modules.filter(({ state }) => state === "failed");
  const shown = status.status === "ok" && troublesOf(status).length > 0 ? "attention" : status.status;
  const lines = table(
    ["STATUS", shown],
    [
      ["version", version],
      ["uptime", ageText(uptimeMs)],
      ["database", `${bytesText(database.sizeBytes)}, ${bytesText(database.walBytes)} in its write-ahead log`],
      ["free on disk", database.freeDiskBytes === null ? null : bytesText(database.freeDiskBytes)],
      ["last backup", status.lastBackupAt],
      ["connections", connectionsText(realtime.connections)],
      ["rules", `${rules.active} active`],
      ["events waiting", consumers.map(({ name, lag }) => `${lag} for ${name}`).join(", ")],
      ["jobs", jobsText(queues)],
      ["paused queues", names(queues.filter((queue) => queue.paused))],
      ["paused channels", paused.map(pausedText).join(", ")],
      ["incidents that reach no one", pages.incidentsUnreached === 0 ? "" : String(pages.incidentsUnreached)],
      ["failed modules", names(broken)],
      ...(status.cluster === null ? [] : [["machine lost", lostText(status.cluster)] as const]),
      ...(watch.url === null ? [] : [["watch.url", watchText(watch.url)] as const]),
    ],
  );
  const colour = shown === "ok" ? out.green : shown === "attention" ? out.yellow : out.red;
  const [head = "", ...rest] = lines;
  return [
    head.replace(shown, colour.call(out, shown)),
    ...rest,
    ...ways.map((way) => out.red(wayText(way))),
    ...(unproven.length === 0 ? [] : [out.yellow(`on call soon without proof: ${peopleText(unproven)}`)]),
    ...(fullProjects.count === 0 ? [] : [out.yellow(fullText(fullProjects))]),
    ...watch.emergency.raised.map(({ since, text }) => out.red(`emergency since ${since}: ${printable(text)}`)),
    ...clusterWarnings(status.cluster).map((text) => out.yellow(`cluster: ${text}`)),
    ...(watch.lastDown === null ? [] : [`was down: ${watch.lastDown.text}`]),
    ...failed.map(([name, value]) => out.yellow(`check ${name}: ${String(value)}`)),
    ...warnings.map((text) => out.yellow(`warning: ${printable(text)}`)),
  ];
}

function wayText({ name, since, waiting, error, isFailed }: Status["ways"][number]): string {
  const wait = waiting === 0 ? "" : ` (${countText(waiting, "page waits", "pages wait")})`;
  const state = isFailed ? "has accepted no page" : "has been tried";
  return printable(`${name} ${state} since ${since}${wait}; last error: ${error}`);
}

function peopleText(people: Status["unproven"]): string {
  return printable(
    people.map(({ name, takesPart }) => (takesPart ? name : `${name} (takes no part in drills)`)).join(", "),
  );
}

function fullText({ count, shown }: Status["fullProjects"]): string {
  const names = shown.map(({ slug, bytes, limit }) => `${slug} (${bytesText(bytes)} of ${bytesText(limit)})`);
  const more = count > shown.length ? [countText(count - shown.length, "other project")] : [];
  return printable(`projects at their limit of stored bytes: ${[...names, ...more].join(", ")}`);
}

/** The last drill of a lost machine. */
function lostText({ drill }: NonNullable<Status["cluster"]>): string {
  if (drill === null) return "never tried: prism drill --takeover";
  const ageMs = Date.now() - Date.parse(drill.startedAt);
  const days = Math.floor(ageMs / DAY_MS);
  const ago = `${days > 0 ? countText(days, "day") : ageText(ageMs)} ago`;
  return drill.withoutLeaderMs === null
    ? `no result, ${ago}`
    : `${(drill.withoutLeaderMs / 1000).toFixed(1)} s, ${ago}`;
}

function watchText({ calledAt, problem }: NonNullable<Status["watch"]["url"]>): string {
  if (problem) return `not called since ${problem.since}: ${printable(problem.text)}`;
  return calledAt === null ? "not called yet" : `called ${calledAt}`;
}

function connectionsText(counts: Readonly<Record<string, number>>): string {
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const kinds = Object.entries(counts).filter(([, n]) => n > 0);
  return total === 0 ? "0" : `${total} (${kinds.map(([kind, n]) => `${n} ${kind}`).join(", ")})`;
}

function jobsText(queues: readonly Queue[]): string {
  const sum = (of: (queue: Queue) => number): number => queues.reduce((total, queue) => total + of(queue), 0);
  const states = ["ready", "running", "retrying", "dead"] as const;
  return states.map((state) => `${sum((queue) => queue[state])} ${state}`).join(", ");
}

function names(things: readonly { readonly name: string }[]): string {
  return things.map(({ name }) => name).join(", ");
}

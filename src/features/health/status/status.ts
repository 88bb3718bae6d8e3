import { statSync } from "node:fs";
import { sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { newestBackupAt } from "../../../core/data-dir.ts";
import type { Finding } from "../../../core/finding.ts";
import { withinOr } from "../../../core/promises.ts";
import { stateWarning, VERSION } from "../../../core/runtime.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { Reply } from "../../../http/api/route.ts";
import type { Context } from "../../../module/feature.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { OutsideChannel } from "../../../store/schema.ts";
import type { WriteProblem } from "../../../store/write-health.ts";
import { failingWays } from "../../delivery/index.ts";
import { unprovenPeople } from "../../oncall/drill/index.ts";
import { queueViews } from "../../time/jobs/index.ts";
import { drillView, readTakeOverDrill } from "../cluster/index.ts";

const PROBE_EVERY_MS = 1000;
/** A database that takes longer is of no use to clients, and probes have timed out. */
const PATIENCE_MS = 2000;

interface Probe {
  readonly ok: boolean;
  readonly database: "ok" | WriteProblem;
  readonly latencyMs: number;
}

/** Parts that probes check. */
type HealthParts = Pick<Context<"backlog">, "clock" | "startedAt" | "kernel" | "storage" | "store" | "backlog">;

interface RunningProbe {
  readonly startedAt: number;
  /** Number of commits at its start. */
  readonly commits: number;
  readonly result: Promise<Probe>;
}

/** The answer to a probe: 503 when it fails, with Retry-After. */
export function probeReply<T>(isWell: boolean, body: T): Reply<T> {
  return isWell ? new Reply(200, body) : new Reply(503, body, { "Retry-After": "1" });
}

/**
 * Whether the server works. The database is probed at most once a second and by one probe at a
 * time, however often health is requested; the probe writes only if no other commit shows the
 * state.
 */
export class Health {
  readonly #parts: HealthParts;
  #running: RunningProbe | null = null;
  #last: Probe | null = null;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** {@link report} as the answer of a probe. @param mayKnow whether the caller may know the version */
  async summary(mayKnow: boolean) {
    const { version, ...report } = await this.report();
    return probeReply(report.status !== "unavailable", mayKnow ? { ...report, version } : report);
  }

  /** No host names, no paths, no secrets. */
  async report() {
    const { kernel, storage, startedAt, backlog, clock } = this.#parts;
    const db = await this.database();
    const isReady = db.ok && !kernel.requests.isDraining;
    return {
      status: !isReady ? "unavailable" : storage.isFull ? "degraded" : "ok",
      version: VERSION,
      uptimeMs: Math.max(0, clock.now() - startedAt),
      db: db.ok ? "ok" : "failed",
      redis: "ok",
      checks: {
        database: db.database,
        storage: storage.isFull ? "full" : "ok",
        ruleEngine: backlog.isBehind ? "behind" : "ok",
        accepting: !kernel.requests.isDraining,
      },
    } as const;
  }

  /** Answers within {@link PATIENCE_MS}; anything unknown by then counts as failed. */
  async database(): Promise<Probe> {
    if (this.#last && performance.now() - this.#lastAt < PROBE_EVERY_MS) return this.#last;
    this.#running ??= this.#start();
    const { startedAt, commits, result } = this.#running;
    const left = Math.max(0, startedAt + PATIENCE_MS - performance.now());
    return withinOr(left, result, () => this.#unanswered(startedAt, commits));
  }

  /** A probe that waits while other commits succeed means load, not failure. */
  #unanswered(startedAt: number, commitsBefore: number): Probe {
    const { health, committer } = this.#parts.store;
    const isStuck = committer.record.commits === commitsBefore;
    return probeOf(health.known() ?? (isStuck ? "failed" : null), startedAt);
  }

  #start(): RunningProbe {
    const startedAt = performance.now();
    const { commits } = this.#parts.store.committer.record;
    return { startedAt, commits, result: this.#probe(startedAt) };
  }

  async #probe(startedAt: number): Promise<Probe> {
    // A stopped committer refuses: the database cannot be written either.
    const problem = await this.#parts.store.health.check().catch((): WriteProblem => "failed");
    this.#last = probeOf(problem, startedAt);
    this.#lastAt = performance.now();
    this.#running = null;
    return this.#last;
  }
}

function probeOf(problem: WriteProblem | null, startedAt: number): Probe {
  const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100;
  return { ok: problem === null, database: problem ?? "ok", latencyMs };
}

export type StatusParts = Context<
  | ("projects" | "runner" | "channels" | "circuits" | "pages" | "pusher" | "loaded" | "consumers" | "rules")
  | ("pipeline" | "watch" | "backlog" | "findings" | "cluster")
>;

/** The operators' overview. Ways and people of projects that the caller does not see have no names. */
export async function systemStatus(health: Health, parts: StatusParts, caller: PermissionHolder) {
  const reader = { userId: caller.userId, projectIds: parts.projects.readable(caller, "project:read") };
  const { config, circuits, pages, loaded, connections, consumers, rules, pipeline } = parts;
  const { db, store, storage, backlog, clock } = parts;
  const { databaseBytes, walBytes } = store.sizes();
  const { status, version, uptimeMs, checks } = await health.report();
  const withoutLeader = stateWarning();
  return {
    // People are paged, and most of what the server does has to wait.
    status: withoutLeader !== null && status === "ok" ? "degraded" : status,
    version,
    uptimeMs,
    checks,
    database: {
      engine: "sqlite",
      sizeBytes: databaseBytes,
      walBytes,
      lastCheckpointAt: lastCheckpoint(config.databaseFile),
      usedBytes: store.usedBytes(),
      limitBytes: config.maxDbBytes ?? null,
      freeDiskBytes: Number.isFinite(storage.freeBytes) ? storage.freeBytes : null,
    },
    lastBackupAt: toRfc3339OrNull(newestBackupAt(config.dataDir, store.lastBackupAt())),
    mysql: { mode: "embedded" },
    redis: { mode: "embedded" },
    pusher: pusherStatus(parts),
    smtp: channelStatus(parts, "email"),
    fcm: channelStatus(parts, "fcm"),
    apns: channelStatus(parts, "apns"),
    webpush: channelStatus(parts, "webpush"),
    paused: circuits.paused().map(({ channel, target, state }) => ({ channel, target, state })),
    ways: (await failingWays(pages, db.scan, clock, reader)).map(({ target: _, isHidden: _hidden, since, ...way }) => ({
      ...way,
      since: toRfc3339(since),
    })),
    unproven: (await unprovenPeople(db.scan, clock.now())).map(({ userId, name, takesPart }) => ({
      name: reader.projectIds === null || userId === reader.userId ? name : "another user",
      takesPart,
    })),
    pages: { waiting: pages.waiting, incidentsUnreached: pages.hasWays ? await countUnreached(db.scan) : 0 },
    modules: loaded.list().map(({ name, version, state, error }) => ({ name, version, state, error })),
    queues: await queueViews(parts),
    realtime: { connections: connections.counts },
    consumers: [{ name: "rule-engine", lag: backlog.lag() }, ...consumers.lags()],
    fullProjects: await fullProjects(db.scan, parts.projects, reader.projectIds),
    rules: { active: rules.size },
    ingest: { pendingBytes: pipeline.pendingBytes },
    watch: parts.watch.view(),
    cluster: await clusterStatus(parts),
    configuration: parts.findings.known().flatMap(({ code, text }) => (code === "configuration.dir" ? text : [])),
    warnings: [withoutLeader ?? [], ...warningsIn(parts.findings.known())].flat(),
  };
}

/** Of the settings, and of the audit trail. */
function warningsIn(known: readonly Finding[]): string[] {
  const settings = known.flatMap(({ shown, text }) => (shown?.kind === "config" ? text : []));
  return [...settings, ...known.flatMap(({ shown }) => (shown?.kind === "audit" ? shown.detail : []))];
}

/** Null: this server is no node of a cluster. */
async function clusterStatus({ cluster, db }: Pick<StatusParts, "cluster" | "db">) {
  if (cluster === null) return null;
  const drill = await readTakeOverDrill(db.read);
  const warnings = cluster.conditions().map(({ text }) => text);
  return { node: cluster.node, drill: drill && drillView(drill), warnings };
}

const SHOWN_PROJECTS = 20;

/** Projects that store as much as they may, by name only those that the caller sees. */
async function fullProjects(db: ReadDb, { storage }: StatusParts["projects"], readable: readonly string[] | null) {
  const full = storage.full();
  const shown = full.filter(({ projectId }) => readable?.includes(projectId) !== false).slice(0, SHOWN_PROJECTS);
  const ids = shown.map(({ projectId }) => projectId);
  const rows =
    ids.length === 0 ? [] : await db.selectFrom("projects").select(["id", "slug"]).where("id", "in", ids).execute();
  const slugs = new Map(rows.map(({ id, slug }) => [id, slug]));
  return { count: full.length, shown: shown.map((each) => ({ slug: slugs.get(each.projectId) ?? null, ...each })) };
}

/** Open incidents whose steps have run and reached no one outside of the app. */
async function countUnreached(db: ReadDb): Promise<number> {
  const row = await db
    .selectFrom("incidents")
    .select(({ fn }) => fn.countAll<number>().as("n"))
    // By the index of the unresolved ones.
    .where("state", "<>", sql.lit("resolved"))
    .where("state", "=", sql.lit("open"))
    .where("snoozedUntil", "is", null)
    .where("steppedAt", "is not", null)
    .where("reachedAt", "is", null)
    .executeTakeFirst();
  return row?.n ?? 0;
}

/** The embedded server runs in this process, so it works if this answers. */
function pusherStatus(parts: StatusParts) {
  const { pusher, config } = parts;
  const { mode } = config.pusher;
  const { key } = pusher;
  return { mode, key, connected: mode === "embedded" || channelStatus(parts, "pusher").connected };
}

/**
 * Whether a channel can be used, and whether the last call of its provider got an answer; null:
 * nothing was sent since the start.
 */
function channelStatus({ channels, circuits }: StatusParts, channel: OutsideChannel) {
  const isOn = channels.get(channel) !== undefined;
  return { mode: isOn ? "on" : "off", connected: isOn ? circuits.isReached(channel) : false };
}

/** In WAL mode the database file changes only by checkpoints (sqlite.org/wal.html). */
function lastCheckpoint(databaseFile: string): string | null {
  const stat = statSync(databaseFile, { throwIfNoEntry: false });
  return stat ? toRfc3339(Math.floor(stat.mtimeMs)) : null;
}

import { randomBytes, randomUUID } from "node:crypto";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { Counter } from "../../core/metrics.ts";
import type { Clock, EpochMs } from "../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../core/time/due-times.ts";
import { periodic } from "../../core/time/periodic.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, type BoundStatement, rowsOfAll, type Trx, WriteQueue } from "../../store/database.ts";
import type { WatchedHeartbeat } from "../../store/effect.ts";
import type { PingKind } from "../../store/schema.ts";
import type { Maker, Projects } from "../access/index.ts";
import type { AlertInput } from "../alerts/index.ts";
import { AlertFeeds, type AlertReport, type FeedsParts } from "./feeds.ts";
import { Heartbeat, type HeartbeatRow } from "./heartbeat.ts";
import type { PingIds } from "./ping-ids.ts";
import { ALERT_SCHEME, type FedTarget, kindOf, type Ping, type PingTarget } from "./pings.ts";
import {
  afterPing,
  afterTimeout,
  alertInput,
  alertOf,
  type Back,
  dueAtOf,
  eventOf,
  type Flip,
  fairDueAt,
  type HeartbeatChange,
  type HeartbeatEvent,
  type HeartbeatState,
  NEVER_AWAY,
  type ShownStatus,
  type StatusTime,
  shownStatus,
} from "./status.ts";
import type { KeysRow } from "./table.ts";
import * as table from "./table.ts";

/** Takes alerts in the caller's transaction. */
export type SubmitAlerts = (inputs: readonly AlertInput[], options: { trx: Trx }) => Promise<unknown>;

/** Adds events to the log in the caller's transaction. */
export type AppendEvents = (trx: Trx, events: readonly HeartbeatEvent[]) => Promise<unknown>;

export interface HeartbeatsParts extends Uses<"db" | "log" | "metrics"> {
  readonly wall: Clock;
  readonly ids: PingIds;
  readonly projects: Pick<Projects, "quotas" | "storage" | "ownerOf">;
  readonly submitAlerts: SubmitAlerts;
  readonly appendEvents: AppendEvents;
  /** The alerts of all projects. */
  readonly alerts: Pick<FeedsParts, "listen" | "findAlert" | "firing">;
}

export interface PingResult {
  readonly outcome: "ok" | "created" | "not-found" | "ambiguous" | "too-many";
  readonly isIgnored: boolean;
}

const ALIVE_EVERY_MS = 30_000;
const MAX_ALERT_NAME = 200;

/** A ping that makes its heartbeat, or opens or resolves an alert, needs a transaction of its own. */
const ALONE = Symbol("alone");
/** Pings of one transaction, which takes a few milliseconds. */
const STORED_AT_ONCE = 200;
const MAX_WAITING_PINGS = 2000;
/** Overdue heartbeats of one transaction, as events wait for it. */
const OVERDUE_AT_ONCE = 32;

interface QueuedPing {
  readonly target: PingTarget | FedTarget;
  readonly ping: Ping;
}

/** A change of the status, and the heartbeat after it. */
interface Flipped {
  readonly row: HeartbeatRow;
  readonly flip: Flip;
}

/**
 * Takes pings, and notices the heartbeats that are overdue: their due times are in memory, over the
 * column `dueAt`, and change by effects only.
 */
export class Heartbeats {
  readonly #parts: HeartbeatsParts;
  readonly clock: SteadyClock;
  readonly ids: PingIds;
  readonly feeds: AlertFeeds;
  readonly due: DueTimes<string>;
  readonly #queue: WriteQueue<QueuedPing, PingResult | typeof ALONE>;
  readonly #watched = new Map<string, WatchedHeartbeat & { readonly dueAt: EpochMs }>();
  readonly #pings: (labels: { kind: string }) => Counter;
  readonly #flips: (labels: { status: string }) => Counter;
  /** Since a down time or a jump of the clock. */
  #back: Back = NEVER_AWAY;
  readonly #alive = periodic({
    everyMs: ALIVE_EVERY_MS,
    work: () => this.#noteAlive(),
    onError: (err) => this.#parts.log.warn({ err }, "cannot store the time of the last check"),
    atStop: true,
  });

  constructor(parts: HeartbeatsParts) {
    this.#parts = parts;
    this.ids = parts.ids;
    this.clock = new SteadyClock(parts.wall);
    const { alerts, log } = parts;
    this.feeds = new AlertFeeds({ ...alerts, clock: this.clock, log, ping: (id, report) => this.#feed(id, report) });
    this.due = new DueTimes({
      clock: this.clock,
      handle: (ids) => parts.db.write((trx) => this.#timeOut(trx, ids)),
      onError: (err, ids) => parts.log.error({ err, ids }, "cannot store overdue heartbeats; retrying"),
      batch: OVERDUE_AT_ONCE,
    });
    this.#queue = new WriteQueue({
      db: parts.db,
      // Pings decide by their rows alone.
      options: { sharesCommit: true },
      most: STORED_AT_ONCE,
      mayWait: MAX_WAITING_PINGS,
      store: (trx, pings) => this.#recordAll(trx, pings),
    });
    this.clock.onJump((jumpMs) => this.#cameBack(jumpMs));
    this.#pings = parts.metrics.counter("prism_heartbeat_pings_total", "Pings by kind");
    this.#flips = parts.metrics.counter("prism_heartbeat_flips_total", "Changes of heartbeats by new status");
    parts.metrics.gauge("prism_heartbeats_watched", "Heartbeats that go down without another ping", () => this.watched);
  }

  /** Reads what is watched. Before the port opens. */
  async load(): Promise<void> {
    const { db } = this.#parts;
    const aliveAt = await table.readAliveAt(db.read);
    const now = this.clock.now();
    this.#back = { at: now, downMs: aliveAt === null ? 0 : Math.max(0, now - aliveAt) };
    this.changed(await table.watched(db.read));
    this.feeds.changed(await table.fed(db.read));
  }

  get moment(): StatusTime {
    return { now: this.clock.now(), back: this.#back };
  }

  /** The status that callers see. */
  shownOf(row: HeartbeatRow): ShownStatus {
    return shownStatus(row, row, this.clock.now(), this.#back);
  }

  /** Number of heartbeats that go down without another ping. */
  get watched(): number {
    return this.#watched.size;
  }

  start(): void {
    this.#alive.start();
  }

  async stop(): Promise<void> {
    await this.feeds.settled();
    await this.#alive.stop();
  }

  /** A commit has changed these heartbeats. */
  changed(heartbeats: readonly WatchedHeartbeat[]): void {
    for (const { id, dueAt, graceMs } of heartbeats) {
      if (dueAt === null) {
        this.#watched.delete(id);
        this.due.delete(id);
        this.feeds.wake(id);
      } else {
        this.#watched.set(id, { id, dueAt, graceMs });
        this.due.set(id, fairDueAt(dueAt, graceMs, this.#back));
      }
    }
  }

  /** Stores a ping and what it changes. Resolves when it is on disk. */
  async ping(target: PingTarget | FedTarget, ping: Ping): Promise<PingResult> {
    const queued = await this.#queue.add({ target, ping });
    return queued === ALONE ? this.#parts.db.write((trx) => this.#recordAlone(trx, target, ping)) : queued;
  }

  /** All that wait: their rows are read in one message, and each heartbeat is written once. */
  async #recordAll(trx: Trx, pings: readonly QueuedPing[]): Promise<(PingResult | typeof ALONE)[]> {
    const found = await this.#found(trx, pings);
    const rows = new Map<string, HeartbeatRow>();
    const alone = new Set<string>();
    const results: (PingResult | typeof ALONE)[] = [];
    for (const [i, { ping }] of pings.entries()) {
      const first = found[i] ?? ALONE;
      if (first === ALONE || first === "not-found") {
        results.push(first === ALONE ? ALONE : { outcome: first, isIgnored: false });
        continue;
      }
      const row = rows.get(first.id) ?? first;
      const { kind, change, now } = this.#read(row, ping);
      // Later pings of the heartbeat come after the one that waits.
      if (alone.has(row.id) || (change.flip && alertOf(change.flip) !== null)) {
        alone.add(row.id);
        results.push(ALONE);
        continue;
      }
      const next = this.#insert(trx, row, ping, { kind, change, now });
      rows.set(row.id, next);
      if (change.flip) await this.#flip(trx, [{ row: next, flip: change.flip }]);
      results.push({ outcome: "ok", isIgnored: kind === "ignored" });
    }
    for (const row of rows.values()) await this.#put(trx, row, { pingCount: row.pingCount });
    return results;
  }

  async #recordAlone(trx: Trx, target: PingTarget | FedTarget, ping: Ping): Promise<PingResult> {
    const found = await this.#target(trx, target);
    if (typeof found === "string") return { outcome: found, isIgnored: false };
    const { row, isNew } = found;
    const read = this.#read(row, ping);
    if (isNew) await trx.insertInto("heartbeats").values(row).execute();
    const { pingCount } = this.#insert(trx, row, ping, read);
    await this.store(trx, row, read.change, { pingCount });
    return { outcome: isNew ? "created" : "ok", isIgnored: read.kind === "ignored" };
  }

  #read(row: HeartbeatRow, ping: Ping) {
    const now = this.clock.now();
    const kind = kindOf(row, ping);
    return { kind, change: afterPing(row, kind, ping.rid, now), now };
  }

  /** Adds the row of a ping. @returns the heartbeat after it */
  #insert(
    trx: Trx,
    row: HeartbeatRow,
    ping: Ping,
    { kind, change, now }: { kind: PingKind; change: HeartbeatChange; now: EpochMs },
  ): HeartbeatRow {
    const n = row.pingCount + 1;
    const durationMs = change.durationMs ?? ping.durationMs ?? null;
    // A ping always counts; its body is not stored in a project that is full.
    const hasRoom = ping.body === null || this.#parts.projects.storage.roomForAlert(row.projectId) === "whole";
    const stored = { ...ping, body: hasRoom ? ping.body : null, heartbeatId: row.id, n, at: now, kind, durationMs };
    table.insertPing(trx, stored, row.projectId);
    this.#pings({ kind }).add();
    return { ...row, ...stateOf(change.state), pingCount: n };
  }

  /** The heartbeats of pings; {@link ALONE} for what only a transaction of its own finds or makes. */
  async #found(trx: Trx, pings: readonly QueuedPing[]): Promise<(HeartbeatRow | "not-found" | typeof ALONE)[]> {
    const reads = new Map<string, BoundStatement>();
    const keys = pings.map(({ target }) => {
      const read = table.targetRead(target, this.ids);
      const key = read.parameters.join(" ");
      reads.set(key, read);
      return key;
    });
    const rows = await rowsOfAll(trx, [...reads.values()]);
    const byKey = new Map(Array.from(reads.keys(), (key, i) => [key, (rows[i] ?? []) as HeartbeatRow[]]));
    return pings.map(({ target }, i) => {
      const [row, second] = byKey.get(keys[i] ?? "") ?? [];
      if ("pingKey" in target) return row && !second ? row : ALONE;
      return row && (!("fedId" in target) || isFed(row)) ? row : "not-found";
    });
  }

  #feed(fedId: string, { kind, name }: AlertReport): Promise<PingResult> {
    const nothing = { exitStatus: null, rid: null, method: "", address: null, body: null };
    return this.ping({ fedId }, { ...nothing, kind, scheme: ALERT_SCHEME, userAgent: name.slice(0, MAX_ALERT_NAME) });
  }

  async #target(trx: Trx, target: PingTarget | FedTarget) {
    if ("fedId" in target) {
      const row = await table.findHeartbeat(trx, "id", target.fedId);
      return row && isFed(row) ? { row, isNew: false } : "not-found";
    }
    if ("uuid" in target) {
      const row = await table.findHeartbeat(trx, "pingHash", this.ids.hashOf(target.uuid));
      return row ? { row, isNew: false } : "not-found";
    }
    const keys = await table.findKeys(trx, "pingKeyHash", this.ids.hashOf(target.pingKey));
    if (!keys) return "not-found";
    const [row, second] = await table.findBySlug(trx, keys.projectId, target.slug);
    if (second) return "ambiguous";
    if (row) return { row, isNew: false };
    if (!target.creates) return "not-found";
    const { projectId } = keys;
    // A ping key has no creator: what it makes is the owner's.
    const createdBy = this.#parts.projects.ownerOf(projectId);
    if (!(await this.#hasRoom(trx, { projectId, createdBy }))) return "too-many";
    const made = newHeartbeat(this.ids, projectId, { name: target.slug, slug: target.slug }, this.clock.now());
    return { row: { ...made, createdBy }, isNew: true };
  }

  async #hasRoom(trx: Trx, maker: Maker): Promise<boolean> {
    try {
      await this.#parts.projects.quotas.requireRoom(trx, "heartbeats", maker);
      return true;
    } catch (error) {
      if (error instanceof PrismError && error.code === "LIMIT_REACHED") return false;
      throw error;
    }
  }

  /**
   * Stores a change of a heartbeat with what follows from it: due time, flip, alert and event. With
   * an alert the transaction must be exclusive.
   * @param columns further columns of the row; they may change the plan
   */
  async store(trx: Trx, row: HeartbeatRow, change: HeartbeatChange | null, columns: Partial<HeartbeatRow> = {}) {
    const next: HeartbeatRow = { ...row, ...columns, ...stateOf(change?.state ?? row) };
    const dueAt = await this.#put(trx, next, columns);
    if (change?.flip) await this.#flip(trx, [{ row: next, flip: change.flip }]);
    return { ...next, dueAt };
  }

  /** Writes the state of a row and these columns. @returns its due time */
  async #put(trx: Trx, row: HeartbeatRow, columns: Partial<HeartbeatRow>): Promise<EpochMs | null> {
    const dueAt = dueAtOf(row, row);
    table.updateHeartbeat(trx, row.id, { ...columns, ...stateOf(row), dueAt });
    this.recordDue(trx, { id: row.id, dueAt, graceMs: row.graceMs });
    // Nothing was watched, so the time of the last watch is missing or old.
    if (dueAt !== null && this.#watched.size === 0) await table.putAliveAt(trx, this.clock.now());
    return dueAt;
  }

  recordDue(trx: Trx, heartbeat: WatchedHeartbeat): void {
    addEffect(trx, { type: "heartbeats-changed", heartbeats: [heartbeat] });
  }

  async #flip(trx: Trx, flipped: readonly Flipped[]): Promise<void> {
    if (flipped.length === 0) return;
    const foundAt = this.clock.now();
    const stored = flipped.map(({ row, flip: { from, to, at, reason } }) => {
      this.#flips({ status: to }).add();
      return { id: uuidv7(), heartbeatId: row.id, at, foundAt, fromStatus: from, status: to, reason };
    });
    await trx.insertInto("heartbeat_flips").values(stored).execute();
    await this.alert(trx, flipped);
  }

  /** The alert of a heartbeat that is down gets its severity and labels. */
  async changeAlert(trx: Trx, row: HeartbeatRow): Promise<void> {
    const now = this.#parts.wall.now();
    const flip = { from: "up", to: "down", at: now, reason: "timeout" } as const;
    // What it reported when it went down stays.
    const { annotations: _, ...input } = alertInput(row, flip, "open", now);
    await this.#parts.submitAlerts([input], { trx });
  }

  /** Opens or resolves the alerts of flips. */
  async alert(trx: Trx, flipped: readonly Flipped[]): Promise<void> {
    const inputs: AlertInput[] = [];
    const events: HeartbeatEvent[] = [];
    const now = this.#parts.wall.now();
    for (const { row, flip } of flipped) {
      const action = alertOf(flip);
      if (action === null) continue;
      inputs.push(alertInput(row, flip, action, now));
      if (flip.to !== "paused" && flip.reason !== "delete") events.push(eventOf(row, flip));
    }
    if (inputs.length > 0) await this.#parts.submitAlerts(inputs, { trx });
    if (events.length > 0) await this.#parts.appendEvents(trx, events);
  }

  async #timeOut(trx: Trx, ids: readonly string[]): Promise<void> {
    const now = this.clock.now();
    const rows = await table.heartbeatsById(trx, ids);
    const flipped: Flipped[] = [];
    for (const row of rows) {
      const { dueAt } = row;
      // A ping may have arrived between the timer and this transaction.
      if (dueAt === null || fairDueAt(dueAt, row.graceMs, this.#back) > now) {
        this.recordDue(trx, row);
        continue;
      }
      const { state, flip } = afterTimeout(row, row, dueAt);
      const next = { ...row, ...stateOf(state) };
      await this.#put(trx, next, {});
      if (flip) flipped.push({ row: next, flip });
    }
    await this.#flip(trx, flipped);
    const found = new Set(rows.map(({ id }) => id));
    for (const id of ids) if (!found.has(id)) this.recordDue(trx, { id, dueAt: null, graceMs: 0 });
  }

  #cameBack(jumpMs: number): void {
    this.#back = { at: this.#parts.wall.now(), downMs: jumpMs };
    this.#parts.log.warn({ jumpMs }, "clock jumped forward; extending heartbeat deadlines by the same time");
    this.changed([...this.#watched.values()]);
  }

  /** The next start measures the down time from this. */
  async #noteAlive(): Promise<void> {
    if (this.#watched.size === 0) return;
    const at = this.clock.now();
    await this.#parts.db.write((trx) => table.putAliveAt(trx, at), { sharesCommit: true });
  }
}

function stateOf({ status, lastPingAt, lastStartAt, lastStartRid, lastDurationMs }: HeartbeatState): HeartbeatState {
  return { status, lastPingAt, lastStartAt, lastStartRid, lastDurationMs };
}

/** Only a person ends a pause: an alert that keeps firing would end it at once. */
function isFed({ fedBy, status }: HeartbeatRow): boolean {
  return fedBy !== null && status !== "paused";
}

/** What a new heartbeat may be given. */
export interface GivenIds {
  readonly id?: string;
  /** The UUID or token in its ping URL, as `pingIdOf` gives it. */
  readonly ping?: string | undefined;
}

/** A heartbeat with the default plan, which is new. */
export function newHeartbeat(
  ids: PingIds,
  projectId: string,
  { id = uuidv7(), name, slug, ping }: Pick<HeartbeatRow, "name" | "slug"> & GivenIds,
  now: EpochMs,
): HeartbeatRow {
  return {
    ...Heartbeat.initial,
    id,
    projectId,
    name,
    slug,
    ...ids.columnsOf(id, ping),
    badgeUuid: randomUUID(),
    createdAt: now,
    updatedAt: now,
  };
}

/** The keys of a project, made with its first heartbeat. */
export async function keysOf(trx: Trx, projectId: string, now: EpochMs): Promise<KeysRow> {
  const found = await table.findKeys(trx, "projectId", projectId);
  if (found) return found;
  const badgeSecret = randomBytes(32).toString("base64url");
  const none = { pingKeyHash: null, sealedPingKey: null };
  const keys = { projectId, ...none, badgeKey: randomUUID(), badgeSecret, updatedAt: now };
  await table.putKeys(trx, keys);
  return keys;
}

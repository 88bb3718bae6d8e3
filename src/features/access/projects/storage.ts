import type { Config } from "../../../config/load.ts";
import type { RightsChange } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { periodic } from "../../../core/time/periodic.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, runLater, type Trx } from "../../../store/database.ts";
import { putSetting } from "../../../store/setting-rows.ts";
import { countEventsUpTo } from "./queries.ts";

/** A row of `events` besides its payload, with its entries in indexes. */
const ROW_BYTES = 300;
const FLUSH_EVERY_MS = 60_000;
/** The counters are written after as many events, too: a start after a crash counts no more. */
const FLUSH_EVENTS = 20_000;
/** A start counts no more events than this; others are counted in the background. */
const MAX_LOADED = 2 * FLUSH_EVENTS;
/** Events of earlier versions are counted in slices of this many, in the scan thread. */
const SLICE_EVENTS = 20_000;
/**
 * Shares of the limit up to which a project stores events, events beside alerts and alerts as they
 * are (`reserve`), and new alerts (`end`).
 */
const SHARES = {
  known: { events: 1, reserve: 1.1, end: 2 },
  // The rest belongs to keys, people, heartbeats and senders with a secret.
  unproven: { events: 0.9, reserve: 0.9, end: 1 },
} as const;
const FROM = "storage.countedFrom";
const TO = "storage.countedTo";
const SETTING = "limits.storageBytesPerProject";

interface RoomOptions {
  readonly sender?: StorageSender;
  readonly isAlert?: boolean;
}

interface StoredEvent {
  readonly seq: number;
  readonly projectId: string;
  readonly payloadBytes: number;
}

interface StorageParts extends Uses<"reader" | "db" | "clock" | "log"> {
  readonly defaultId: string;
  limits(): Pick<Config["limits"], "storageBytesPerProject">;
}

interface Facts {
  /** The default project and those of administrators and of no one have no limit by the settings. */
  readonly isLimited: boolean;
  /** Set by the operator: it holds instead of those of the settings. */
  readonly ownLimit: number | null;
}

/** A limit of stored bytes that is reached. */
interface Problem {
  readonly setting: string;
  readonly limit: number;
}

/**
 * How much of an alert a project stores: all of it; past its reserve without annotations and link;
 * at twice its limit no alert that is new.
 */
type AlertRoom = "whole" | "short" | "none";

/** Who sends: `unproven` are those who only know a URL, a mail address or a topic. */
export type StorageSender = keyof typeof SHARES;

/** A project above its limit of stored bytes. */
export interface FullProject {
  readonly projectId: string;
  readonly bytes: number;
  readonly limit: number;
}

/**
 * The bytes and events that each project stores, in memory. Those of events are counted by commits, and by what
 * the table had up to an event at the last start: counted are the events after `#from`, up to `#to`.
 * Those of alerts, timelines, logged requests and what waits to be passed on are sums that triggers keep (`project_texts`).
 */
export class ProjectStorage {
  readonly #parts: StorageParts;
  readonly #bytes = new Map<string, number>();
  readonly #events = new Map<string, number>();
  readonly #texts = new Map<string, number>();
  /** Projects with a sum of texts that a commit may have changed: it is read when it is asked for. */
  readonly #textsToRead = new Set<string>();
  readonly #changed = new Set<string>();
  readonly #facts = new Map<string, Facts>();
  readonly #reported = new Set<string>();
  readonly #findFacts;
  readonly #findTexts;
  readonly #findLowestOwn;
  /** Null: to be read again. */
  #lowestOwn: number | null = null;
  #from = 0;
  #to = 0;
  /** Events up to this one are in the table, or their writing has failed. */
  #flushedTo = 0;
  readonly #flushes = periodic({ everyMs: FLUSH_EVERY_MS, work: () => this.#flush(), atStop: true });
  #counting: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: StorageParts) {
    this.#parts = parts;
    this.#findFacts = parts.reader.prepare<
      [string],
      { ownerId: string | null; storageBytes: number | null; isAdmin: 0 | 1 }
    >(
      `select p.ownerId, p.storageBytes, exists (select 1 from user_roles u join roles r on r.id = u.roleId
         where u.userId = p.ownerId and r.permissions like '%"projects:all"%') as isAdmin
       from projects p where p.id = ?`,
    );
    this.#findTexts = parts.reader
      .prepare<[string], number>("select bytes from project_texts where projectId = ?")
      .pluck();
    this.#findLowestOwn = parts.reader.prepare<[], number | null>("select min(storageBytes) from projects").pluck();
  }

  /** Builds the counters from the tables and the events after them. Before the server answers. */
  load(): void {
    const { reader } = this.#parts;
    const setting = reader.prepare<[string], number>("select value from settings where key = ?").pluck();
    const last = reader.prepare<[], number>("select coalesce(max(seq), 0) from events").pluck().get() ?? 0;
    const to = setting.get(TO);
    this.#from = setting.get(FROM) ?? last;
    this.#to = last;
    this.#flushedTo = last;
    this.#read("select projectId, bytes as n from project_storage", this.#bytes);
    this.#read("select projectId, events as n from project_storage", this.#events);
    this.#read("select projectId, bytes as n from project_texts", this.#texts);
    if (to !== undefined && to < last) this.#loadAfter(to);
  }

  /** Events since the counters were written, as after a crash. */
  #loadAfter(to: number): void {
    const later = this.#parts.reader.prepare<
      [number, number, number],
      { projectId: string; bytes: number; n: number; last: number }
    >(
      `select projectId, sum(octet_length(payload) + ?) as bytes, count(*) as n, max(seq) as last
       from (select seq, projectId, payload from events where seq > ? order by seq limit ?) group by projectId`,
    );
    const rows = later.all(ROW_BYTES, to, MAX_LOADED);
    for (const { projectId, bytes, n } of rows) this.#add(projectId, bytes, n);
    if (rows.some(({ last }) => last === this.#to)) return;
    // Too many for a start: all are counted again, in the background.
    for (const projectId of this.#bytes.keys()) this.#changed.add(projectId);
    this.#bytes.clear();
    this.#events.clear();
    this.#from = this.#to;
  }

  #read(select: string, into: Map<string, number>): void {
    const rows = this.#parts.reader.prepare<[], { projectId: string; n: number }>(select);
    for (const { projectId, n } of rows.iterate()) into.set(projectId, n);
  }

  /** Counts what earlier versions have stored, and writes the counters each minute. */
  start(): void {
    this.#flushes.start();
    this.#counting = this.#countEarlier().catch((err: unknown) =>
      this.#parts.log.warn({ err }, "counting the storage of projects failed; the next start continues"),
    );
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#counting;
    await this.#flushes.stop();
  }

  bytesOf(projectId: string): number {
    if (this.#textsToRead.delete(projectId)) this.#set(this.#texts, projectId, this.#findTexts.get(projectId) ?? 0);
    return (this.#bytes.get(projectId) ?? 0) + (this.#texts.get(projectId) ?? 0);
  }

  /** The project's number of events. While those of earlier versions are counted, the rest is read. */
  async eventsOf(projectId: string): Promise<number> {
    const from = this.#from;
    const counted = this.#events.get(projectId) ?? 0;
    return from === 0 ? counted : counted + (await countEventsUpTo(this.#parts.db.scan, projectId, from));
  }

  /** The limit of a project; null: none. */
  limitOf(projectId: string): number | null {
    const { isLimited, ownLimit } = this.#factsOf(projectId);
    return ownLimit ?? (isLimited ? this.#parts.limits().storageBytesPerProject : null);
  }

  /** A commit has stored events. */
  stored(events: readonly StoredEvent[]): void {
    let [bytes, n] = [0, 0];
    for (const [i, { seq, projectId, payloadBytes }] of events.entries()) {
      bytes += payloadBytes + ROW_BYTES;
      n++;
      if (seq > this.#to) this.#to = seq;
      // Events of a commit are of few projects, and those of a request of one.
      if (events[i + 1]?.projectId === projectId) continue;
      this.#add(projectId, bytes, n);
      [bytes, n] = [0, 0];
    }
    if (this.#to - this.#flushedTo < FLUSH_EVENTS || !this.#flushes.isStarted || this.#isStopped) return;
    this.#flushedTo = this.#to;
    // Outside of the commit that stored them.
    setImmediate(() => void this.flush());
  }

  /** A commit has removed events. */
  removed(projectId: string, events: readonly { readonly seq: number; readonly bytes: number }[]): void {
    const counted = events.filter(({ seq }) => seq > this.#from);
    this.#add(projectId, -counted.reduce((sum, event) => sum + event.bytes + ROW_BYTES, 0), -counted.length);
  }

  /** A commit has changed alerts, timelines or logged requests of these projects. Their sums are read when asked for. */
  textsChanged(projectIds: Iterable<string>): void {
    for (const projectId of projectIds) this.#textsToRead.add(projectId);
  }

  /**
   * @param isAlert for rows stored beside an alert, which may use a reserve of a tenth
   * @throws STORAGE_LIMIT_REACHED
   */
  requireRoom(projectId: string, { sender = "known", isAlert = false }: RoomOptions = {}): void {
    const share = SHARES[sender][isAlert ? "reserve" : "events"];
    const problem = this.#problemOf(projectId, share);
    if (problem === null) return;
    if (sender === "known") this.#report(projectId, problem);
    const { setting, limit } = problem;
    const part = share < 1 ? "what unproven senders may fill of" : "all";
    throw refusal(problem, `The project stores ${part} the bytes that ${setting} allows: ${limit}; nothing was stored`);
  }

  roomForAlert(projectId: string, sender: StorageSender = "known"): AlertRoom {
    const { reserve, end } = SHARES[sender];
    if (this.#problemOf(projectId, reserve) === null) return "whole";
    return this.#problemOf(projectId, end) === null ? "short" : "none";
  }

  /** Why an alert that is new, or a note, is refused; null: it is stored. */
  alertRefusal(projectId: string, sender: StorageSender = "known"): PrismError | null {
    const { end } = SHARES[sender];
    const problem = this.#problemOf(projectId, end);
    if (problem === null) return null;
    this.#report(projectId, problem);
    const { setting, limit } = problem;
    const part = end > 1 ? "twice the limit" : "as much as unproven senders may fill";
    return refusal(problem, `The project stores ${part} (${setting}: ${limit} bytes); new alerts are refused`);
  }

  /** Stored bytes of each project. */
  *all(): Iterable<readonly [projectId: string, bytes: number]> {
    for (const projectId of new Set([...this.#bytes.keys(), ...this.#texts.keys(), ...this.#textsToRead])) {
      const bytes = this.bytesOf(projectId);
      // A project that was deleted has none.
      if (bytes > 0) yield [projectId, bytes];
    }
  }

  /** Projects above their own limit, the largest first. */
  full(): FullProject[] {
    const { storageBytesPerProject } = this.#parts.limits();
    const full: FullProject[] = [];
    this.#lowestOwn ??= this.#findLowestOwn.get() ?? Number.POSITIVE_INFINITY;
    const lowest = Math.min(storageBytesPerProject, this.#lowestOwn);
    for (const [projectId, bytes] of this.all()) {
      // Limits are looked up only of projects that may be above one.
      if (bytes < lowest) continue;
      const limit = this.limitOf(projectId);
      if (limit !== null && bytes >= limit) full.push({ projectId, bytes, limit });
    }
    return full.sort((a, b) => b.bytes - a.bytes);
  }

  #report(projectId: string, { setting, limit }: Problem): void {
    if (this.#reported.has(projectId)) return;
    this.#reported.add(projectId);
    this.#parts.log.warn(
      { projectId, setting, limit },
      "project reached its storage limit; writes are refused with 507",
    );
  }

  #problemOf(projectId: string, share: number): Problem | null {
    const limit = this.limitOf(projectId);
    if (limit === null || this.bytesOf(projectId) < limit * share) return null;
    return { setting: this.#factsOf(projectId).ownLimit === null ? SETTING : "storageBytes of the project", limit };
  }

  forget(change: RightsChange): void {
    if (change.of === "project") this.#facts.delete(change.projectId);
    else if (change.of === "all" || change.of === "role" || change.of === "user") this.#facts.clear();
    else return;
    this.#lowestOwn = null;
  }

  /** Writes the counters that have changed. */
  flush(): Promise<void> {
    return this.#flushes.run();
  }

  async #flush(): Promise<void> {
    const { db, log } = this.#parts;
    if (this.#changed.size === 0) return;
    let changed: readonly string[] = [];
    try {
      await db.write((trx) => {
        changed = [...this.#changed];
        this.#changed.clear();
        return this.#store(trx, changed);
      });
    } catch (err) {
      for (const projectId of changed) this.#changed.add(projectId);
      log.warn({ err }, "cannot store the sizes of projects");
    }
  }

  /** Memory has all commits before this transaction, and none after it. */
  async #store(trx: Trx, changed: readonly string[]): Promise<void> {
    for (const projectId of changed) {
      const row = {
        projectId,
        bytes: this.#bytes.get(projectId) ?? 0,
        events: this.#events.get(projectId) ?? 0,
      };
      const change =
        row.bytes === 0
          ? trx.deleteFrom("project_storage").where("projectId", "=", projectId)
          : trx
              .insertInto("project_storage")
              .values(row)
              .onConflict((conflict) => conflict.column("projectId").doUpdateSet(row));
      runLater(trx, change.compile());
    }
    for (const [key, value] of [
      [FROM, this.#from],
      [TO, this.#to],
    ] as const)
      await putSetting(trx, key, value, this.#parts.clock.now());
  }

  async #countEarlier(): Promise<void> {
    const { db } = this.#parts;
    for (; this.#from > 0 && !this.#isStopped; ) {
      const from = Math.max(0, this.#from - SLICE_EVENTS);
      const rows = await db.scan
        .selectFrom("events")
        .select((e) => ["projectId", e.fn.countAll<number>().as("n")])
        .select((e) => e.fn.sum<number>(e.fn("octet_length", ["payload"])).as("bytes"))
        .where("seq", ">", from)
        .where("seq", "<=", this.#from)
        .groupBy("projectId")
        .execute();
      for (const { projectId, n, bytes } of rows) this.#add(projectId, Number(bytes) + n * ROW_BYTES, n);
      this.#from = from;
    }
  }

  #add(projectId: string, bytes: number, events: number): void {
    const count = Math.max(0, (this.#events.get(projectId) ?? 0) + events);
    if (count === 0) this.#events.delete(projectId);
    else this.#events.set(projectId, count);
    this.#set(this.#bytes, projectId, Math.max(0, (this.#bytes.get(projectId) ?? 0) + bytes));
    this.#changed.add(projectId);
  }

  #set(counters: Map<string, number>, projectId: string, bytes: number): void {
    const before = counters.get(projectId) ?? 0;
    if (bytes === 0) counters.delete(projectId);
    else counters.set(projectId, bytes);
    if (bytes < before) this.#reported.delete(projectId);
  }

  #factsOf(projectId: string): Facts {
    const known = this.#facts.get(projectId);
    if (known) return known;
    const row = this.#findFacts.get(projectId);
    const isLimited =
      row !== undefined && projectId !== this.#parts.defaultId && row.ownerId !== null && row.isAdmin === 0;
    const facts = { isLimited, ownLimit: row?.storageBytes ?? null };
    this.#facts.set(projectId, facts);
    return facts;
  }
}

function refusal({ setting, limit }: Problem, message: string): PrismError {
  return new PrismError("STORAGE_LIMIT_REACHED", message, {
    details: [{ path: "", code: "LIMIT", message, setting, limit }],
  });
}

/** Call it before events are removed in a transaction: their project then stores less. */
export async function noteRemoved(trx: Trx, projectId: string, seqs: readonly number[]): Promise<void> {
  const events = await trx
    .selectFrom("events")
    .select((e) => ["seq", e.fn<number>("octet_length", ["payload"]).as("bytes")])
    .where("seq", "in", seqs)
    .execute();
  const settings = await trx.selectFrom("settings").select(["key", "value"]).where("key", "in", [FROM, TO]).execute();
  const settingOf = (name: string): number => Number(settings.find(({ key }) => key === name)?.value ?? 0);
  // Later ones are counted again from the events at a start after a crash.
  const counted = events.filter(({ seq }) => seq > settingOf(FROM) && seq <= settingOf(TO));
  const bytes = counted.reduce((sum, event) => sum + event.bytes + ROW_BYTES, 0);
  await trx
    .updateTable("project_storage")
    .set((e) => ({
      bytes: e.fn<number>("max", [e.val(0), e("bytes", "-", bytes)]),
      events: e.fn<number>("max", [e.val(0), e("events", "-", counted.length)]),
    }))
    .where("projectId", "=", projectId)
    .execute();
  addEffect(trx, { type: "events-removed", projectId, events });
}

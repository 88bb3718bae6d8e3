import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../../config/load.ts";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { RightsChange } from "../../../core/principal.ts";
import { addEffect, type Database, type Trx } from "../../../store/database.ts";

/** A row of `events` besides its payload, with its entries in indexes. */
const ROW_BYTES = 300;
const FLUSH_EVERY_MS = 60_000;
/** Events of earlier versions are counted in slices of this many, in the scan thread. */
const SLICE_EVENTS = 20_000;
/** Alerts pass until a project has this much of its limit. */
const RESERVE = 1.1;
const FROM = "storage.countedFrom";
const TO = "storage.countedTo";

interface StoredEvent {
  readonly seq: number;
  readonly projectId: string;
  readonly payloadText: string;
}

interface StorageParts {
  readonly reader: Sqlite;
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly defaultId: string;
  limits(): Pick<Config["limits"], "storageBytesPerProject" | "creatorFactor" | "serverFactor">;
}

interface Facts {
  /** Null: no limit, for the default project and those of administrators and of no one. */
  readonly limitedOwner: string | null;
}

/**
 * The bytes of each project's events, in memory: counted by commits, and by what the table had up to
 * an event at the last start. Counted are the events after `#from`, up to `#to`.
 */
export class ProjectStorage {
  readonly #parts: StorageParts;
  readonly #bytes = new Map<string, number>();
  readonly #changed = new Set<string>();
  readonly #facts = new Map<string, Facts>();
  /** Sums of limited projects; null: to be made again. */
  #sums: { readonly byOwner: Map<string, number>; all: number } | null = null;
  readonly #reported = new Set<string>();
  readonly #findFacts;
  #from = 0;
  #to = 0;
  #timer: NodeJS.Timeout | null = null;
  #counting: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: StorageParts) {
    this.#parts = parts;
    this.#findFacts = parts.reader.prepare<[string], { ownerId: string | null; isAdmin: 0 | 1 }>(
      `select p.ownerId, exists (select 1 from user_roles u join roles r on r.id = u.roleId
         where u.userId = p.ownerId and r.permissions like '%"projects:all"%') as isAdmin
       from projects p where p.id = ?`,
    );
  }

  /** Builds the counters from the table and the events after it. Before the server answers. */
  load(): void {
    const { reader } = this.#parts;
    const setting = reader.prepare<[string], number>("select value from settings where key = ?").pluck();
    const last = reader.prepare<[], number>("select coalesce(max(seq), 0) from events").pluck().get() ?? 0;
    const to = setting.get(TO);
    this.#from = setting.get(FROM) ?? last;
    this.#to = last;
    const rows = reader.prepare<[], { projectId: string; bytes: number }>(
      "select projectId, bytes from project_storage",
    );
    for (const { projectId, bytes } of rows.iterate()) this.#bytes.set(projectId, bytes);
    if (to === undefined || to >= last) return;
    const later = reader.prepare<[number, number], { projectId: string; bytes: number }>(
      `select projectId, sum(octet_length(payload) + ?) as bytes from events where seq > ? group by projectId`,
    );
    for (const { projectId, bytes } of later.all(ROW_BYTES, to)) this.#add(projectId, bytes);
  }

  /** Counts what earlier versions have stored, and writes the counters each minute. */
  start(): void {
    this.#timer = setInterval(() => void this.flush(), FLUSH_EVERY_MS).unref();
    this.#counting = this.#countEarlier().catch((err: unknown) =>
      this.#parts.log.warn({ err }, "counting what projects store failed; the next start continues"),
    );
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#isStopped = true;
    await this.#counting;
    await this.flush();
  }

  bytesOf(projectId: string): number {
    return this.#bytes.get(projectId) ?? 0;
  }

  /** The limit of a project; null: none. */
  limitOf(projectId: string): number | null {
    return this.#factsOf(projectId).limitedOwner === null ? null : this.#parts.limits().storageBytesPerProject;
  }

  /** A commit has stored events. */
  stored(events: readonly StoredEvent[]): void {
    for (const { seq, projectId, payloadText } of events) {
      this.#add(projectId, Buffer.byteLength(payloadText) + ROW_BYTES);
      if (seq > this.#to) this.#to = seq;
    }
  }

  /** A commit has removed events. */
  removed(projectId: string, events: readonly { readonly seq: number; readonly bytes: number }[]): void {
    let bytes = 0;
    for (const event of events) if (event.seq > this.#from) bytes += event.bytes + ROW_BYTES;
    this.#add(projectId, -bytes);
  }

  /**
   * @param isAlert what must not be lost passes from a reserve of a tenth
   * @throws STORAGE_LIMIT_REACHED
   */
  requireRoom(projectId: string, isAlert = false): void {
    const problem = this.#problemOf(projectId, isAlert ? RESERVE : 1);
    if (problem === null) return;
    const { setting, limit, subject } = problem;
    const message = `${subject} all the bytes that ${setting} allows: ${limit}; nothing was stored`;
    if (!this.#reported.has(projectId)) {
      this.#reported.add(projectId);
      this.#parts.log.warn(
        { projectId, setting, limit },
        "a project stores as much as it may: more is refused with 507",
      );
    }
    throw new PrismError("STORAGE_LIMIT_REACHED", message, {
      details: [{ path: "", code: "LIMIT", message, setting, limit }],
    });
  }

  #problemOf(projectId: string, factor: number) {
    const { limitedOwner } = this.#factsOf(projectId);
    if (limitedOwner === null) return null;
    const { storageBytesPerProject, creatorFactor, serverFactor } = this.#parts.limits();
    const setting = "limits.storageBytesPerProject";
    const limit = storageBytesPerProject;
    if (this.bytesOf(projectId) >= limit * factor) return { setting, limit, subject: "The project stores" };
    const ofCreator = limit * creatorFactor;
    const sums = this.#sumsNow();
    if ((sums.byOwner.get(limitedOwner) ?? 0) >= ofCreator * factor)
      return {
        setting: `limits.creatorFactor of ${setting}`,
        limit: ofCreator,
        subject: "All projects of the owner store",
      };
    const ofServer = ofCreator * serverFactor;
    if (sums.all >= ofServer * factor)
      return { setting: `limits.serverFactor of ${setting}`, limit: ofServer, subject: "All projects of users store" };
    return null;
  }

  /** @param change null: all */
  forget(change: RightsChange | null): void {
    if (change === null || change.of === "role") this.#facts.clear();
    else if (change.of === "project") this.#facts.delete(change.projectId);
    else if (change.of === "user") {
      // Those without a limit may belong to the user as well.
      for (const [id, { limitedOwner }] of this.#facts)
        if (limitedOwner === null || limitedOwner === change.userId) this.#facts.delete(id);
    } else return;
    this.#sums = null;
  }

  /** Writes the counters that have changed. */
  async flush(): Promise<void> {
    const { db, log } = this.#parts;
    if (this.#changed.size === 0) return;
    await db
      .write((trx) => this.#store(trx))
      .catch((err: unknown) => log.warn({ err }, "sizes of projects are not stored"));
  }

  /** Memory has all commits before this transaction, and none after it. */
  async #store(trx: Trx): Promise<void> {
    const changed = [...this.#changed];
    this.#changed.clear();
    try {
      for (const projectId of changed) {
        const bytes = this.bytesOf(projectId);
        const row = { projectId, bytes };
        if (bytes === 0) await trx.deleteFrom("project_storage").where("projectId", "=", projectId).execute();
        else
          await trx
            .insertInto("project_storage")
            .values(row)
            .onConflict((conflict) => conflict.column("projectId").doUpdateSet(row))
            .execute();
      }
      for (const [key, value] of [
        [FROM, this.#from],
        [TO, this.#to],
      ] as const)
        await putSetting(trx, { key, value, updatedAt: this.#parts.clock.now() });
    } catch (error) {
      for (const projectId of changed) this.#changed.add(projectId);
      throw error;
    }
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
      for (const { projectId, n, bytes } of rows) this.#add(projectId, Number(bytes) + n * ROW_BYTES);
      this.#from = from;
    }
  }

  #add(projectId: string, bytes: number): void {
    const before = this.#bytes.get(projectId) ?? 0;
    const after = Math.max(0, before + bytes);
    if (after === 0) this.#bytes.delete(projectId);
    else this.#bytes.set(projectId, after);
    this.#changed.add(projectId);
    if (after < before) this.#reported.delete(projectId);
    if (this.#sums) this.#addToSums(this.#sums, projectId, after - before);
  }

  #addToSums(sums: { byOwner: Map<string, number>; all: number }, projectId: string, bytes: number): void {
    const { limitedOwner } = this.#factsOf(projectId);
    if (limitedOwner === null) return;
    sums.byOwner.set(limitedOwner, (sums.byOwner.get(limitedOwner) ?? 0) + bytes);
    sums.all += bytes;
  }

  #sumsNow() {
    if (this.#sums) return this.#sums;
    this.#sums = { byOwner: new Map(), all: 0 };
    for (const [projectId, bytes] of this.#bytes) this.#addToSums(this.#sums, projectId, bytes);
    return this.#sums;
  }

  #factsOf(projectId: string): Facts {
    const known = this.#facts.get(projectId);
    if (known) return known;
    const row = this.#findFacts.get(projectId);
    const isLimited = row !== undefined && projectId !== this.#parts.defaultId && row.isAdmin === 0;
    const facts = { limitedOwner: isLimited ? row.ownerId : null };
    this.#facts.set(projectId, facts);
    return facts;
  }
}

async function putSetting(trx: Trx, row: { key: string; value: number; updatedAt: number }): Promise<void> {
  await trx
    .insertInto("settings")
    .values(row)
    .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
    .execute();
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
    .set((e) => ({ bytes: e.fn<number>("max", [e.val(0), e("bytes", "-", bytes)]) }))
    .where("projectId", "=", projectId)
    .execute();
  addEffect(trx, { type: "events-removed", projectId, events });
}

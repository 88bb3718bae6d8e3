import { setTimeout as wait } from "node:timers/promises";
import { DAY_MS, type EpochMs, Seldom } from "../../../core/time/clock.ts";
import { DueTimes, SteadyClock } from "../../../core/time/due-times.ts";
import { periodic } from "../../../core/time/periodic.ts";
import type { Uses } from "../../../module/feature.ts";
import type { NotificationRow } from "../../../store/commit/write-set.ts";
import { addEffect, later, type Trx } from "../../../store/database.ts";
import type { EventsTable } from "../../../store/schema.ts";
import { putSetting } from "../../../store/setting-rows.ts";
import { notificationOf } from "../deciding/decide.ts";
import { storedEvent } from "../deciding/incoming-event.ts";
import type { ActiveRule } from "../deciding/rule-book.ts";
import type { RuleEvent } from "../language/language.ts";
import type { RuleRow } from "../rule.ts";
import { type AlertLink, firing } from "./alert-link.ts";
import type { SeenMatches } from "./over-time.ts";
import { keyOf, type OverTimeSettings, seriesKey } from "./settings.ts";

/** How often new last matches are stored; a crash loses none of them: decisions have them too. */
const FLUSH_MS = 5000;
/** Rows of one transaction: it holds the writer for a few milliseconds. */
const FLUSH_ROWS = 500;
/** Pause between them, in which others write. */
const PAUSE_MS = 10;
/** How often the time is stored that this process last ran, for the length of a down time. */
const ALIVE_MS = 60_000;
const ALIVE_KEY = "rules.absences";
/** Events that may be decided after newer ones. */
const LATE_EVENTS = 20_000;
/** Limit of a rule in one project: a rule for all projects has as many in each. */
const MAX_KEYS_OF_RULE = 10_000;
const MAX_KEYS = 100_000;
/** Limit of one project, and of all projects of one person, so that others have room. */
const MAX_KEYS_OF_PROJECT = 20_000;
const MAX_KEYS_OF_OWNER = 40_000;
/** A key that stays away for this time after the rule has fired is forgotten; retention removes its row. */
const FORGET_MS = 30 * DAY_MS;

/** The rows come as JSON, so that any number of them is one statement. */
const STORE_SQL = `insert into rule_absences (ruleId, projectId, key, lastAt, lastSeq, firedAt)
  select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each(?) where true
  on conflict (ruleId, projectId, key) do update
  set lastAt = excluded.lastAt, lastSeq = excluded.lastSeq, firedAt = excluded.firedAt`;
const REMOVE_SQL = "delete from rule_absences where ruleId in (select value from json_each(?))";

type AwaitingRule = Pick<ActiveRule, "row" | "title" | "message" | "overTime"> & {
  readonly condition: { readonly source: string };
};

/** Identifies what a rule awaits. */
export interface AbsenceKey {
  readonly ruleId: string;
  readonly projectId: string;
  readonly key: string;
}

/** A key of a rule that was seen. */
interface Awaited extends AbsenceKey {
  lastAt: EpochMs;
  /** 0: it was never seen; the time counts from when the rule took effect. */
  lastSeq: number;
  firedAt: EpochMs | null;
}

interface Absent {
  readonly rule: AwaitingRule;
  readonly settings: OverTimeSettings;
  readonly awaited: Awaited;
  readonly event: RuleEvent;
}

/** Notifies the recipients of a rule, in the transaction that records its absence. */
export interface AbsenceNotifier {
  recipientsOf(rule: RuleRow): readonly string[];
  send(trx: Trx, notification: NotificationRow, userIds: readonly string[], rule: RuleRow): Promise<void>;
}

export interface AbsencesParts extends Uses<"db" | "reader" | "clock" | "log"> {
  readonly link: AlertLink;
  /** The user who owns a project; null for none. */
  ownerOf(projectId: string): string | null;
}

/**
 * Fires rules when nothing matched for their time. Memory has the last match of each rule and key;
 * it is stored every few seconds, and read again with the decisions after that. Due times follow a
 * clock that never goes back. After a down time, or a jump of the clock, everything has that time
 * once more before it is due.
 */
export class Absences implements SeenMatches {
  readonly #parts: AbsencesParts;
  readonly #clock: SteadyClock;
  readonly #rules = new Map<string, AwaitingRule>();
  readonly #awaited = new Map<string, Map<string, Awaited>>();
  readonly due: DueTimes<Awaited>;
  readonly #dirty = new Set<Awaited>();
  /** Rules with rows that no longer apply. */
  readonly #obsolete = new Set<string>();
  readonly #alive: { readonly upTo: number; readonly at: EpochMs } | null;
  readonly #downMs: number;
  #size = 0;
  readonly #ofProject = new Map<string, number>();
  /** By rule and project. */
  readonly #ofRule = new Map<string, number>();
  /** Null: not needed so far, or to be made again. */
  #ofOwner: Map<string, number> | null = null;
  readonly #warnings: Seldom;
  #lastSeq = 0;
  #aliveAt: EpochMs;
  #notifier: AbsenceNotifier | null = null;
  /** One flush at a time: the last part of one must not say that those of another are stored. */
  readonly #flushes = periodic({
    everyMs: FLUSH_MS,
    work: (isLast) => this.#flush(isLast),
    onError: (error) =>
      this.#parts.log.warn({ err: error }, "cannot store the last matches of absence rules; retrying"),
    atStop: true,
  });
  /** Up to when the tables have all once the running flush ends; null: they do not. */
  #flushedUpTo: number | null = null;

  constructor(parts: AbsencesParts) {
    this.#parts = parts;
    this.#clock = new SteadyClock(parts.clock);
    this.#warnings = new Seldom(parts.clock);
    this.due = new DueTimes({
      clock: this.#clock,
      handle: (due) => this.#fire(due),
      onError: (error) => parts.log.warn({ err: error }, "cannot record an absence; retrying"),
    });
    this.#clock.onJump((jumpMs) => this.#postpone(jumpMs));
    const row = parts.reader
      .prepare<[string], { value: string }>("select value from settings where key = ?")
      .get(ALIVE_KEY);
    this.#alive = row ? (JSON.parse(row.value) as { upTo: number; at: EpochMs }) : null;
    this.#downMs = this.#alive ? Math.max(0, parts.clock.now() - this.#alive.at) : 0;
    this.#lastSeq = this.#alive?.upTo ?? 0;
    this.#aliveAt = this.#alive?.at ?? 0;
  }

  start(notifier: AbsenceNotifier): void {
    this.#notifier = notifier;
    this.#flushes.start();
  }

  stop(): Promise<void> {
    return this.#flushes.stop();
  }

  /** Number of keys that are awaited. */
  get size(): number {
    return this.#size;
  }

  /** A rule takes effect, or has changed. */
  put(rule: AwaitingRule): void {
    const { id } = rule.row;
    const absence = rule.overTime?.absence ?? null;
    const before = this.#rules.get(id);
    if (!absence) {
      this.remove(id);
      return;
    }
    this.#obsolete.delete(id);
    this.#rules.set(id, rule);
    if (before === undefined) this.#load(rule);
    else if (differs(before, rule)) this.#clear(id);
    for (const awaited of this.#awaited.get(id)?.values() ?? []) this.#schedule(awaited, absence.forMs);
    if (absence.key === null && rule.row.projectId !== null) this.#awaitFirst(rule.row.projectId, id, absence.forMs);
  }

  /** A rule is no longer in force. */
  remove(id: string): void {
    if (!this.#rules.delete(id)) return;
    this.#clear(id);
  }

  seen(ruleId: string, projectId: string, key: string, at: EpochMs, seq: number): void {
    const absence = this.#rules.get(ruleId)?.overTime?.absence;
    if (!absence) return;
    this.#lastSeq = Math.max(this.#lastSeq, seq);
    const awaited = this.#of(ruleId, projectId, key, at);
    if (!awaited || awaited.lastSeq >= seq) return;
    awaited.lastAt = at;
    awaited.lastSeq = seq;
    awaited.firedAt = null;
    this.#dirty.add(awaited);
    this.#schedule(awaited, absence.forMs);
  }

  /** The rule has fired for these keys. */
  fired(keys: readonly AbsenceKey[], at: EpochMs): void {
    for (const { ruleId, projectId, key } of keys) {
      const awaited = this.#awaited.get(ruleId)?.get(seriesKey(projectId, key));
      if (!awaited) continue;
      awaited.firedAt = at;
      this.due.delete(awaited);
    }
  }

  /** Sets ahead of the tables have failed: reads them again. */
  reset(): void {
    const rules = [...this.#rules.values()];
    this.#flushedUpTo = null;
    for (const { row } of rules) this.remove(row.id);
    this.#obsolete.clear();
    for (const rule of rules) this.put(rule);
  }

  #of(ruleId: string, projectId: string, key: string, at: EpochMs): Awaited | null {
    const ofRule = this.#awaited.get(ruleId) ?? new Map<string, Awaited>();
    this.#awaited.set(ruleId, ofRule);
    const known = ofRule.get(seriesKey(projectId, key));
    if (known) return known;
    if (this.#isFull(ruleId, projectId)) {
      if (this.#warnings.passes(ruleId))
        this.#parts.log.warn(
          { ruleId, keys: ofRule.size },
          "a rule expects matches of too many keys; ignoring new keys",
        );
      return null;
    }
    const made: Awaited = { ruleId, projectId, key, lastAt: at, lastSeq: 0, firedAt: null };
    ofRule.set(seriesKey(projectId, key), made);
    this.#count(made, 1);
    return made;
  }

  #isFull(ruleId: string, projectId: string): boolean {
    if (this.#size >= MAX_KEYS || (this.#ofRule.get(seriesKey(ruleId, projectId)) ?? 0) >= MAX_KEYS_OF_RULE)
      return true;
    if ((this.#ofProject.get(projectId) ?? 0) >= MAX_KEYS_OF_PROJECT) return true;
    if (this.#size < MAX_KEYS_OF_OWNER) return false;
    const ownerId = this.#parts.ownerOf(projectId);
    return ownerId !== null && (this.#ownersNow().get(ownerId) ?? 0) >= MAX_KEYS_OF_OWNER;
  }

  #ownersNow(): ReadonlyMap<string, number> {
    if (this.#ofOwner) return this.#ofOwner;
    const sums = new Map<string, number>();
    for (const [projectId, keys] of this.#ofProject) {
      const ownerId = this.#parts.ownerOf(projectId);
      if (ownerId !== null) add(sums, ownerId, keys);
    }
    this.#ofOwner = sums;
    return sums;
  }

  /** A project may have another owner. */
  ownersChanged(): void {
    this.#ofOwner = null;
  }

  /** Without a key the first match is awaited from now on. */
  #awaitFirst(projectId: string, id: string, forMs: number): void {
    if (this.#awaited.get(id)?.has(seriesKey(projectId, ""))) return;
    const awaited = this.#of(id, projectId, "", this.#parts.clock.now());
    if (!awaited) return;
    this.#dirty.add(awaited);
    this.#schedule(awaited, forMs);
  }

  /** Reads the rows of a rule, and its decisions since they were stored. */
  #load({ row: { id, version }, overTime }: AwaitingRule): void {
    const { reader } = this.#parts;
    const rows = reader.prepare<[string], Awaited>("select * from rule_absences where ruleId = ?").all(id);
    for (const row of rows) {
      const awaited = this.#of(id, row.projectId, row.key, row.lastAt);
      if (awaited) Object.assign(awaited, row);
    }
    const absence = overTime?.absence;
    if (!absence) return;
    const since = reader.prepare<[string, number, number], EventsTable>(
      `select e.* from decisions d cross join events e on e.seq = d.eventSeq
       where d.ruleId = ? and d.eventSeq > ? and d.ruleVersion = ? and d.key is not null order by d.eventSeq`,
    );
    for (const event of since.iterate(id, Math.max(0, (this.#alive?.upTo ?? 0) - LATE_EVENTS), version))
      this.seen(id, event.projectId, keyOf(absence.key, storedEvent(event)), event.receivedAt, event.seq);
  }

  #schedule(awaited: Awaited, forMs: number): void {
    if (awaited.firedAt !== null) {
      this.due.delete(awaited);
      return;
    }
    const dueAt = this.#clock.fromWall(awaited.lastAt) + forMs;
    // Events during a downtime may not have reached this process yet.
    const graceAt = !this.#flushes.isStarted ? this.#clock.now() + Math.min(forMs, this.#downMs) : 0;
    this.due.set(awaited, Math.max(dueAt, graceAt));
  }

  #postpone(jumpMs: number): void {
    const now = this.#clock.now();
    for (const [id, rule] of this.#rules) {
      const forMs = rule.overTime?.absence?.forMs ?? 0;
      for (const awaited of this.#awaited.get(id)?.values() ?? []) {
        const dueAt = this.due.at(awaited);
        if (dueAt !== undefined) this.due.set(awaited, Math.max(dueAt, now + Math.min(forMs, jumpMs)));
      }
    }
  }

  #clear(id: string): void {
    const awaited = this.#awaited.get(id);
    this.#obsolete.add(id);
    if (!awaited) return;
    for (const each of awaited.values()) {
      this.due.delete(each);
      this.#dirty.delete(each);
    }
    for (const each of awaited.values()) this.#count(each, -1);
    this.#awaited.delete(id);
  }

  #count({ ruleId, projectId }: AbsenceKey, by: number): void {
    this.#size += by;
    add(this.#ofProject, projectId, by);
    const ownerId = this.#ofOwner && this.#parts.ownerOf(projectId);
    if (this.#ofOwner && ownerId !== null) add(this.#ofOwner, ownerId, by);
    add(this.#ofRule, seriesKey(ruleId, projectId), by);
  }

  async #fire(due: readonly Awaited[]): Promise<void> {
    await this.#parts.db.write(async (trx) => {
      const now = this.#clock.now();
      // A match may have come while the write waited.
      const absent = due.filter((each) => (this.due.at(each) ?? Number.POSITIVE_INFINITY) <= now).flatMap(this.#absent);
      const inputs = absent.flatMap(({ rule, settings: { alert }, awaited, event }) =>
        alert ? [firing(rule.row.id, alert, awaited.key, event, this.#parts.clock.now())] : [],
      );
      if (inputs.length > 0) await this.#parts.link.alerts().submit(inputs, { trx });
      for (const each of absent) await this.#record(trx, each);
      const at = this.#parts.clock.now();
      const keys = absent.map(({ awaited: { ruleId, projectId, key } }) => ({ ruleId, projectId, key }));
      addEffect(trx, { type: "absences-fired", keys, at });
    });
  }

  readonly #absent = (awaited: Awaited): Absent[] => {
    const rule = this.#rules.get(awaited.ruleId);
    if (!rule?.overTime?.absence) return [];
    return [{ rule, settings: rule.overTime, awaited, event: this.#lastEvent(awaited) }];
  };

  async #record(trx: Trx, { rule, settings, awaited, event }: Absent): Promise<void> {
    const at = this.#parts.clock.now();
    const isNotified = await this.#notify(trx, rule, event, at);
    const { ruleId, projectId, key, lastAt, lastSeq } = awaited;
    await trx
      .insertInto("rule_absences")
      .values({ ruleId, projectId, key, lastAt, lastSeq, firedAt: at })
      .onConflict((conflict) =>
        conflict.columns(["ruleId", "projectId", "key"]).doUpdateSet({ lastAt, lastSeq, firedAt: at }),
      )
      .execute();
    const sums = { fired: isNotified ? 1 : 0, alertsOpened: settings.alert ? 1 : 0 };
    await trx
      .insertInto("rule_stats")
      .values({ ruleId, ...sums, lastMatchedAt: null, lastError: null })
      .onConflict((conflict) =>
        conflict.column("ruleId").doUpdateSet((e) => ({
          fired: e("rule_stats.fired", "+", sums.fired),
          alertsOpened: e("rule_stats.alertsOpened", "+", sums.alertsOpened),
        })),
      )
      .execute();
  }

  async #notify(trx: Trx, rule: AwaitingRule, event: RuleEvent, at: EpochMs): Promise<boolean> {
    const users = this.#notifier?.recipientsOf(rule.row) ?? [];
    if (users.length > 0) await this.#notifier?.send(trx, notificationOf(event, rule, null, at), users, rule.row);
    return users.length > 0;
  }

  /** The last matching event, for templates; one without a payload if it was never seen or is gone. */
  #lastEvent({ projectId, lastAt, lastSeq }: Awaited): RuleEvent {
    const row = this.#parts.reader.prepare<[number], EventsTable>("select * from events where seq = ?").get(lastSeq);
    if (row) return storedEvent(row);
    const times = { occurredAt: lastAt, receivedAt: lastAt };
    return { id: "", type: "", source: null, level: "info", projectId, ...times, payload: {}, correlationId: "" };
  }

  async #flush(isLast: boolean): Promise<void> {
    const now = this.#parts.clock.now();
    const isQuiet = this.#dirty.size === 0 && this.#obsolete.size === 0;
    if (isQuiet && (this.#size === 0 || (!isLast && Math.abs(now - this.#aliveAt) < ALIVE_MS))) return;
    this.#flushedUpTo = this.#lastSeq;
    // Keys that are seen for the first time from here on come behind these, and wait for the next flush.
    for (let left = this.#dirty.size; left > FLUSH_ROWS; left -= FLUSH_ROWS) {
      await this.#storePart(null);
      await wait(PAUSE_MS);
    }
    await this.#storePart(now);
    this.#aliveAt = now;
    this.#forgetOld(now);
  }

  /** @param now null: more follows. Only with the last part a restart may skip the decisions before. */
  async #storePart(now: EpochMs | null): Promise<void> {
    let some: readonly Awaited[] = [];
    let obsolete: readonly string[] = [];
    const write = this.#parts.db.write(async (trx) => {
      some = firstOf(this.#dirty, FLUSH_ROWS);
      obsolete = [...this.#obsolete];
      for (const each of some) this.#dirty.delete(each);
      this.#obsolete.clear();
      const rows = some.map((a) => [a.ruleId, a.projectId, a.key, a.lastAt, a.lastSeq, a.firedAt]);
      // Before the rows: a rule that has changed may have new ones.
      if (obsolete.length > 0) later(trx, REMOVE_SQL, [JSON.stringify(obsolete)]);
      if (rows.length > 0) later(trx, STORE_SQL, [JSON.stringify(rows)]);
      if (now === null || this.#flushedUpTo === null) return;
      await putSetting(trx, ALIVE_KEY, JSON.stringify({ upTo: this.#flushedUpTo, at: now }), now);
    });
    await write.catch((error: unknown) => {
      for (const each of some) if (this.#isAwaited(each)) this.#dirty.add(each);
      for (const id of obsolete) if (!this.#rules.has(id)) this.#obsolete.add(id);
      throw error;
    });
  }

  /** Whether its rule has not ended or changed meanwhile. */
  #isAwaited(awaited: Awaited): boolean {
    return this.#awaited.get(awaited.ruleId)?.get(seriesKey(awaited.projectId, awaited.key)) === awaited;
  }

  /** Keys that fired and never came back. */
  #forgetOld(now: EpochMs): void {
    for (const ofRule of this.#awaited.values()) {
      for (const [name, awaited] of ofRule) {
        if (awaited.firedAt === null || now - awaited.firedAt < FORGET_MS) continue;
        ofRule.delete(name);
        this.#count(awaited, -1);
      }
    }
  }
}

function firstOf<T>(values: Iterable<T>, most: number): T[] {
  const first: T[] = [];
  for (const value of values) {
    first.push(value);
    if (first.length === most) break;
  }
  return first;
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const sum = (counts.get(name) ?? 0) + by;
  if (sum === 0) counts.delete(name);
  else counts.set(name, sum);
}

/** Whether keys that were seen by one version say nothing about the other. */
function differs(before: AwaitingRule, after: AwaitingRule): boolean {
  const keyOfRule = ({ overTime }: AwaitingRule) => overTime?.absence?.key?.source ?? "";
  return (
    before.condition.source !== after.condition.source ||
    keyOfRule(before) !== keyOfRule(after) ||
    before.row.projectId !== after.row.projectId
  );
}

import { limitReached, PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { type Clock, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { DueTimes, type SteadyClock } from "../../../core/time/due-times.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type InTransaction, type Trx } from "../../../store/database.ts";
import { countOf } from "../../../store/sqlite/list-queries.ts";
import type { UserDirectory } from "../../access/index.ts";
import { appendOwnEvents, type OwnEventDraft } from "../../events/index.ts";
import type { Notifier } from "../../notifications/index.ts";
import { isSameMatchers, type Matcher } from "../model/matchers.ts";
import type { AlertView } from "../types.ts";
import {
  checkDraft,
  columnsOf,
  type LiveSilence,
  matchersOf,
  matchesAnyValue,
  type SilenceDraft,
  textOf,
  timesOf,
} from "./live-silence.ts";
import type { SilenceRow } from "./silence.ts";
import { compiled, type Labelled, matchesAll } from "./silence-index.ts";
import {
  type Border,
  bordersBetween,
  nextBorderAt,
  type SilenceSpan,
  type SilenceState,
  spanAt,
  stateAt,
} from "./spans.ts";
import { LiveSilences, type LiveSilencesParts } from "./withholding.ts";

export interface SilencesParts extends LiveSilencesParts, SilenceEventParts, Uses<"db" | "audit" | "metrics"> {
  /** The clock that people see: times of silences are instants of it. */
  readonly wall: Clock;
  readonly clock: SteadyClock;
  /** `limits.silencesPerProject` and `silences.warnHits`. */
  readonly limits: () => { readonly perProject: number; readonly warnHits: number };
  /** False for a deleted project: its silences end without events. */
  readonly projectExists: (id: string) => boolean;
}

export interface SetOptions extends InTransaction {
  /** The silence to change. */
  readonly id?: string | undefined;
  /** The version that the caller has seen, as in `If-Match`. */
  readonly ifMatch?: string;
  /** The caller has `silences:broad`. */
  readonly mayBeBroad: boolean;
  /** The caller sees a recurring silence as its current window: only that one is replaced. */
  readonly seesWindow?: boolean;
  /** The caller may create it as a person who was notified of an incident; for the audit trail. */
  readonly isPaged?: boolean;
  /** The instant that the draft's times were computed from; default: now. */
  readonly at?: EpochMs;
}

/** An alert that a silence withheld from an incident's recipients. */
export interface SilenceHit {
  readonly silenceId: string;
  readonly alertId: string;
  readonly incidentId: string;
}

/** Silences per transaction that reports starts and ends. */
const BORDERS = 100;

/**
 * Silences of all projects. A state is computed from the times and never stored. A change follows
 * the rules of Alertmanager: a new comment, end or annotations, or times of a pending silence, keep
 * the id; any other change creates a silence with a new id and expires the old one.
 */
export class Silences {
  readonly #parts: SilencesParts;
  readonly #live: LiveSilences;
  /** Starts and ends that are to be reported. */
  readonly borders: DueTimes<string>;

  constructor(parts: SilencesParts) {
    const { clock, log } = parts;
    this.#parts = parts;
    parts.metrics.gauge("prism_silences", "Silences that have not ended, by state", () =>
      Object.entries(this.counts()).map(([state, count]) => [{ state }, count] as const),
    );
    this.#live = new LiveSilences(parts);
    this.borders = new DueTimes({
      clock,
      batch: BORDERS,
      handle: (ids) => this.#reportDue(ids),
      onError: (error) => log.error({ err: error }, "cannot store starts and ends of silences; retrying"),
    });
  }

  /** Builds the memory from the table. Call it before the server answers. */
  load(): void {
    this.#live.load();
    for (const { row } of this.#live.all()) this.#arm(row);
  }

  /** Resolves when the incidents of what changed are found. */
  idle(): Promise<void> {
    return this.#live.idle();
  }

  /** Reports what is due now, and finds the incidents of what changed. */
  async flush(): Promise<void> {
    await this.borders.check();
    await this.#live.idle();
  }

  /** The ids of the active silences that match an alert, ascending. */
  silencing(projectId: string, alert: Labelled, now: EpochMs): string[] {
    return Array.from(this.#live.active(projectId, alert, now), ({ id }) => id).sort();
  }

  /** Silences of a project that have not ended. */
  live(projectId: string): readonly LiveSilence[] {
    return this.#live.ofProject(projectId);
  }

  /** All silences of a project that are kept, expired ones included. */
  kept(projectId: string): Promise<SilenceRow[]> {
    return this.#parts.db.read.selectFrom("silences").selectAll().where("projectId", "=", projectId).execute();
  }

  /** Numbers of all projects. */
  counts(): Readonly<Record<Exclude<SilenceState, "expired">, number>> {
    const now = this.#parts.wall.now();
    const counts = { active: 0, pending: 0 };
    for (const silence of this.#live.all()) {
      const state = silence.stateAt(now);
      if (state !== "expired") counts[state]++;
    }
    return counts;
  }

  /** Firing alerts that the matchers match. @throws VALIDATION_FAILED for an invalid pattern */
  hits(projectId: string, matchers: readonly Matcher[]): AlertView[] {
    const silence = { matchers: compiled(matchers) };
    return this.#parts.alertsOf(projectId).filter((alert) => matchesAll(silence, alert));
  }

  /** @returns null if it does not exist, or is no longer kept */
  async find(id: string, { trx }: InTransaction = {}): Promise<SilenceRow | null> {
    if (!isUuid(id)) return null;
    const db = trx ?? this.#parts.db.read;
    return (await db.selectFrom("silences").selectAll().where("id", "=", id).executeTakeFirst()) ?? null;
  }

  /**
   * Creates a silence, or changes one.
   * @throws SILENCE_NOT_FOUND, VERSION_CONFLICT, VALIDATION_FAILED, INVALID_CRON, LIMIT_REACHED;
   * UNAUTHORIZED_ROLE for a broad one
   */
  set(given: SilenceDraft, options: SetOptions) {
    return this.#parts.db.writeIn(options, async (trx) => {
      const now = options.at ?? this.#parts.wall.now();
      const old = options.id === undefined ? null : await this.#require(trx, given.projectId, options.id);
      const draft = old && options.seesWindow ? withRecurrence(given, old, now) : given;
      checkDraft(draft, now);
      if (old) requireVersion(options.ifMatch ?? "", old.version);
      const differs = !old || !isSameMatchers(matchersOf(old), draft.matchers);
      if (differs && !options.mayBeBroad) this.#requireNarrow(draft);
      if (old && !differs && mayChangeInPlace(old, draft, now)) {
        const startsAt = stateAt(timesOf(old), now) === "active" ? old.startsAt : (draft.startsAt ?? old.startsAt);
        const next = { ...old, ...columnsOf(draft), startsAt };
        return { silence: await this.#replace(old, next, trx), isNew: false };
      }
      if (old) await (options.seesWindow ? this.#expireSpan(old, trx) : this.#expire(old, trx));
      return { silence: await this.#insert(draft, now, trx, options.isPaged), isNew: true };
    });
  }

  /** Ends a silence now. An expired one stays as it is. @throws SILENCE_NOT_FOUND */
  expire(projectId: string, id: string, options: InTransaction = {}): Promise<SilenceRow> {
    return this.#parts.db.writeIn(options, async (trx) => this.#expire(await this.#require(trx, projectId, id), trx));
  }

  /**
   * Ends the current window of a recurring silence, or skips the next one. Expires any other
   * silence. @throws SILENCE_NOT_FOUND
   */
  expireSpan(projectId: string, id: string, options: InTransaction = {}): Promise<SilenceRow> {
    return this.#parts.db.writeIn(options, async (trx) =>
      this.#expireSpan(await this.#require(trx, projectId, id), trx),
    );
  }

  /** Records what silences withheld. An alert counts once per silence. */
  async recordHits(trx: Trx, hits: readonly SilenceHit[], now: EpochMs): Promise<void> {
    const counts = new Map<string, number>();
    for (const hit of hits) {
      const { numInsertedOrUpdatedRows } = await trx
        .insertInto("silence_hits")
        .values({ ...hit, at: now })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      counts.set(hit.silenceId, (counts.get(hit.silenceId) ?? 0) + Number(numInsertedOrUpdatedRows ?? 0));
    }
    for (const [id, count] of counts)
      await trx
        .updateTable("silences")
        .set((e) => ({ hits: e("hits", "+", count), lastHitAt: now }))
        .where("id", "=", id)
        .execute();
  }

  /** A commit has changed these silences. */
  changed(rows: readonly SilenceRow[]): void {
    this.#live.changed(rows);
    for (const row of rows) this.#arm(row);
  }

  #arm(row: SilenceRow): void {
    const at = nextBorderAt(timesOf(row), row.reportedUntil);
    this.borders.set(row.id, at === null ? null : this.#parts.clock.fromWall(at));
  }

  async #require(trx: Trx, projectId: string, id: string): Promise<SilenceRow> {
    const row = await this.find(id, { trx });
    if (row?.projectId !== projectId) throw new PrismError("SILENCE_NOT_FOUND", "No such silence");
    return row;
  }

  /** @throws UNAUTHORIZED_ROLE */
  #requireNarrow({ projectId, matchers }: SilenceDraft): void {
    if (matchesAnyValue(matchers))
      throw missingPermission("silences:broad", 'or a matcher that excludes some values, such as instance=~"web.*"');
    const { warnHits } = this.#parts.limits();
    const hits = this.hits(projectId, matchers).length;
    if (hits > warnHits)
      throw missingPermission(
        "silences:broad",
        `${countText(hits, "alert matches", "alerts match")} now, more than ${warnHits}`,
      );
  }

  async #insert(draft: SilenceDraft, now: EpochMs, trx: Trx, isPaged = false): Promise<SilenceRow> {
    const { perProject } = this.#parts.limits();
    const lasting = trx.selectFrom("silences").where("projectId", "=", draft.projectId).where("endsAt", ">", now);
    if ((await countOf(lasting)) >= perProject)
      throw limitReached(`A project has ${perProject} silences`, "limits.silencesPerProject", perProject);
    const row: SilenceRow = {
      id: uuidv7(),
      projectId: draft.projectId,
      ...columnsOf(draft),
      startsAt: Math.max(draft.startsAt ?? now, now),
      createdAt: now,
      updatedAt: now,
      reportedUntil: now,
      hits: 0,
      lastHitAt: null,
      version: 1,
    };
    await trx.insertInto("silences").values(row).execute();
    const span = activeSpan(row, now);
    if (span) await this.#report(row, { kind: "started", at: now, span }, trx);
    await this.#changed(trx, row, "silence.create", isPaged ? { right: "paged" } : {});
    return row;
  }

  async #expire(row: SilenceRow, trx: Trx): Promise<SilenceRow> {
    const now = this.#parts.wall.now();
    if (stateAt(timesOf(row), now) === "expired") return row;
    return this.#replace(row, { ...row, startsAt: Math.min(row.startsAt, now), endsAt: now }, trx, "silence.expire");
  }

  async #expireSpan(row: SilenceRow, trx: Trx): Promise<SilenceRow> {
    const span = spanAt(timesOf(row), this.#parts.wall.now());
    if (row.recurrence === null || span === null || span.endsAt >= row.endsAt) return this.#expire(row, trx);
    return this.#replace(row, { ...row, startsAt: span.endsAt }, trx, "silence.expire");
  }

  async #replace(old: SilenceRow, next: SilenceRow, trx: Trx, action = "silence.update"): Promise<SilenceRow> {
    const now = this.#parts.wall.now();
    const row = { ...next, version: old.version + 1, updatedAt: now, reportedUntil: now };
    const { id, ...columns } = row;
    await trx.updateTable("silences").set(columns).where("id", "=", id).execute();
    const before = activeSpan(old, old.reportedUntil);
    const after = activeSpan(row, now);
    if (after && !before) await this.#report(row, { kind: "started", at: now, span: after }, trx);
    else if (before && !after)
      await this.#report(row, { kind: "ended", at: now, span: { ...before, endsAt: now } }, trx);
    await this.#changed(trx, row, action);
    return row;
  }

  #report(row: SilenceRow, border: Border, trx: Trx): Promise<void> {
    return reportBorders(this.#parts, trx, [{ row, border }], border.at);
  }

  async #changed(trx: Trx, row: SilenceRow, action: string, more: { readonly right?: string } = {}): Promise<void> {
    const metadata = { projectId: row.projectId, kind: row.kind, version: row.version, ...more };
    await this.#parts.audit.record({ action, resourceType: "silence", resourceId: row.id, metadata }, { trx });
    addEffect(trx, { type: "silences-changed", silences: [row] });
  }

  async #reportDue(ids: readonly string[]): Promise<void> {
    await this.#parts.db.write(async (trx) => {
      const now = this.#parts.wall.now();
      const rows = await trx.selectFrom("silences").selectAll().where("id", "in", ids).execute();
      const reported: Reported[] = rows.flatMap((row) =>
        bordersBetween(timesOf(row), row.reportedUntil, now).map((border) => ({ row, border })),
      );
      const wanted = reported.filter(({ row }) => this.#parts.projectExists(row.projectId));
      await reportBorders(this.#parts, trx, wanted, now);
      const changed = [...new Set(reported.map(({ row }) => row))].map((row) => ({ ...row, reportedUntil: now }));
      const changedIds = changed.map(({ id }) => id);
      if (changed.length > 0)
        await trx.updateTable("silences").set({ reportedUntil: now }).where("id", "in", changedIds).execute();
      addEffect(trx, { type: "silences-changed", silences: changed });
      // The clock was set back since they were armed, or they are no longer kept.
      for (const id of ids)
        if (!changedIds.includes(id))
          this.#rearm(
            rows.find((row) => row.id === id),
            id,
          );
    });
  }

  #rearm(row: SilenceRow | undefined, id: string): void {
    if (row) this.#arm(row);
    else this.borders.delete(id);
  }
}

/** What a client asks for that does not know the recurrence: the same window is the same silence. */
function withRecurrence(draft: SilenceDraft, old: SilenceRow, now: EpochMs): SilenceDraft {
  const times = timesOf(old);
  const span = times.recurrence && spanAt(times, now);
  const isSame =
    span && seconds(span.startsAt) === seconds(draft.startsAt ?? now) && seconds(span.endsAt) === seconds(draft.endsAt);
  return { ...draft, ...(isSame ? times : {}), kind: old.kind };
}

function activeSpan(row: SilenceRow, at: EpochMs): SilenceSpan | null {
  const span = spanAt(timesOf(row), at);
  return span && span.startsAt <= at ? span : null;
}

/** The rule of Alertmanager's `canUpdate`; a recurring silence keeps its windows. */
function mayChangeInPlace(old: SilenceRow, draft: SilenceDraft, now: EpochMs): boolean {
  const { recurrence } = columnsOf(draft);
  if (old.recurrence !== recurrence) return false;
  const isSameStart = draft.startsAt === null || seconds(draft.startsAt) === seconds(old.startsAt);
  if (recurrence !== null) return old.endsAt > now && isSameStart;
  switch (stateAt(timesOf(old), now)) {
    case "active":
      return isSameStart;
    case "pending":
      return isSameStart || (draft.startsAt ?? now) >= now;
    case "expired":
      return false;
  }
}

function seconds(at: EpochMs): number {
  return Math.floor(at / 1000);
}

interface SilenceEventParts {
  readonly notify: Pick<Notifier, "send">;
  readonly directory: Pick<UserDirectory, "find">;
}

/** A border of a silence that is reported. */
interface Reported {
  readonly row: SilenceRow;
  readonly border: Border;
}

/** Stores an event for each border, and notifies creators of silences that expire soon. */
async function reportBorders(
  parts: SilenceEventParts,
  trx: Trx,
  reported: readonly Reported[],
  now: EpochMs,
): Promise<void> {
  await appendOwnEvents(trx, reported.map(eventOf), { source: "prism:alerts", now });
  // A silence that ended during a down time is reported by its events only.
  for (const { row, border } of reported)
    if (border.kind === "expiring" && border.span.endsAt > now) await notifyCreator(parts, trx, row, border);
}

function eventOf({ row, border: { kind, span } }: Reported): OwnEventDraft {
  const { id, projectId, comment, createdBy, hits, recurrence } = row;
  return {
    projectId,
    type: `silence.${kind}`,
    level: "info",
    payload: {
      silenceId: id,
      kind: row.kind,
      matchers: textOf(row),
      comment,
      createdBy,
      isRecurring: recurrence !== null,
      startsAt: toRfc3339(span.startsAt),
      endsAt: toRfc3339(span.endsAt),
      hits,
    },
  };
}

/** Other creators are names that a client of Alertmanager's API sent. */
async function notifyCreator(
  { notify, directory }: SilenceEventParts,
  trx: Trx,
  row: SilenceRow,
  { at, span }: Border,
): Promise<void> {
  const { id, projectId, createdBy, comment, hits } = row;
  if (!isUuid(createdBy) || directory.find(createdBy) === undefined) return;
  const hours = Math.round((span.endsAt - at) / 3_600_000);
  const input = {
    recipients: [createdBy],
    projectId,
    title: `Silence ends in ${countText(hours, "hour")}: ${comment || textOf(row)}`.slice(0, 255),
    message: `${textOf(row)} ends at ${toRfc3339(span.endsAt)}. It has silenced ${countText(hits, "alert")}.`.slice(
      0,
      4000,
    ),
    data: { silenceId: id, endsAt: toRfc3339(span.endsAt) },
  };
  await notify.send(input, { trx }).catch((error: unknown) => {
    // The creator is no longer a member of the project.
    if (!(error instanceof PrismError && error.code === "RECIPIENT_NOT_FOUND")) throw error;
  });
}

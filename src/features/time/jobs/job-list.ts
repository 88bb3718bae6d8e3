import { type RawBuilder, sql } from "kysely";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { cursorOf, isFarPage, type PageRequest, pageBody, readPage } from "../../../http/api/shapes.ts";
import type { Database, ReadDb } from "../../../store/database.ts";
import { JOB_STATES, type JobState } from "../../../store/schema.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  firstBeyondSearch,
  fittingRows,
  holdsText,
  type RowBytes,
} from "../../../store/sqlite/list-queries.ts";
import type { JobFilters, JobQuery } from "./schema.ts";
import { type AttemptLine, type Ended, type JobLine, jobDetail, jobView, showsText } from "./view.ts";

/**
 * A page reads at most this many jobs when no index helps. With ten million finished jobs, a rare
 * match is found over several pages, and none of them is slow.
 */
export const SEARCHED_AT_ONCE = 100_000;
/** The same for a text, for which each payload is read. */
const TEXT_SEARCHED_AT_ONCE = 50_000;

type View = (job: JobLine) => ReturnType<typeof jobView>;

/** Labels of others' timers are not compared: a caller who does not see them could guess them. */
function asSeenBy({ permissions, userId }: PermissionHolder, filters: JobFilters): JobFilters {
  return permissions.has("notifications:read_all") ? filters : { ...filters, readerId: userId ?? "" };
}

/** Newest first. */
export async function listJobs(db: Database, caller: PermissionHolder, query: JobQuery) {
  const { limit, page, offset, cursor, ...given } = query;
  const filters = asSeenBy(caller, given);
  const request = readPage({ limit, page, offset, cursor }, ["number"]);
  const { first, last } = await rangeOf(db.read, filters);
  const range = { first, last: request.after ? Math.min(last, Number(request.after[0]) - 1) : last };
  if (filters.q !== undefined) return textSearched(db, request, { ...filters, q: filters.q }, range, caller);
  const view = (job: JobLine) => jobView(job, caller);
  return request.wantsTotal ? counted(db, request, filters, range, view) : searched(db, request, filters, range, view);
}

/** @throws JOB_NOT_FOUND */
export async function getJob({ read }: Database, caller: PermissionHolder, id: string) {
  const job = isUuid(id) ? await findLine(read, id) : undefined;
  if (!job) throw new PrismError("JOB_NOT_FOUND", "No such job");
  return jobDetail(job, await attemptsOf(read, id), caller);
}

/**
 * A text must be in what the caller sees: secrets and texts of others are masked. The database finds
 * candidates by the stored text; what it finds beyond that shows neither in a page nor in a total.
 */
async function textSearched(
  db: Database,
  request: PageRequest,
  filters: TextFilters,
  range: SeqRange,
  caller: PermissionHolder,
) {
  const { limit, offset, wantsTotal } = request;
  const isWhole = wantsTotal || isByIndex(filters);
  const first = isWhole ? range.first : Math.max(range.first, range.last + 1 - TEXT_SEARCHED_AT_ONCE);
  const rows: JobLine[] = [];
  let found = 0;
  for await (const job of seenJobs(db, filters, { first, last: range.last }, caller)) {
    if (found >= offset && rows.length <= limit) rows.push(withoutLong(job));
    found++;
    if (!wantsTotal && rows.length > limit) break;
  }
  const view = (job: JobLine) => jobView(job, caller);
  const body = pageBody(request, rows, view, ({ seq }) => [seq], wantsTotal ? found : undefined);
  return body.nextCursor === null && first > range.first ? { ...body, nextCursor: cursorOf([first]) } : body;
}

export type TextFilters = JobFilters & { readonly q: string };

/** Jobs that hold the text where the caller sees it, newest first, read in slices. */
export async function* seenJobs(
  { scan }: Pick<Database, "scan">,
  filters: TextFilters,
  { first, last }: SeqRange,
  caller: PermissionHolder,
): AsyncIterable<JobLine> {
  const { q, ...others } = filters;
  const turns = new LoopTurns();
  for (let end = last; end >= first; ) {
    const left = await firstBeyondSearch(scan, selected(scan, others, { first, last: end }), WHOLE_BYTES.bytes);
    const window = { first: left === undefined ? first : left + 1, last: end };
    for await (const row of linesOf(scan, filters, window)) {
      await turns.pause();
      if (showsText(row, q, caller)) yield row;
    }
    end = window.first - 1;
  }
}

async function* linesOf(scan: ReadDb, filters: TextFilters, { first, last }: SeqRange): AsyncIterable<JobLine> {
  for (let end = last; end >= first; ) {
    const { rows, isCut } = await selectLines(scan, filters, { first, last: end }, TEXT_SLICE, "whole");
    yield* rows;
    const oldest = rows.at(-1);
    if (!oldest || (rows.length < TEXT_SLICE.limit && !isCut)) return;
    end = oldest.seq - 1;
  }
}

/** Larger than a page: each slice reads the index of its states again. */
const TEXT_SLICE = { limit: 500, offset: 0 } as const;

function withoutLong(job: JobLine): JobLine {
  return job.payloadBytes > LISTED_BYTES ? { ...job, payload: null } : job;
}

async function counted(db: Database, request: PageRequest, filters: JobFilters, range: SeqRange, view: View) {
  const total = await countOf(selected(db.scan, filters, range));
  const { rows, isCut } = await rowsOf(db, request, filters, range);
  return pageBody({ ...request, isCut }, rows, view, ({ seq }) => [seq], total);
}

async function searched(db: Database, request: PageRequest, filters: JobFilters, range: SeqRange, view: View) {
  const first = isByIndex(filters) ? range.first : Math.max(range.first, range.last + 1 - SEARCHED_AT_ONCE);
  const { rows, isCut } = await rowsOf(db, request, filters, { first, last: range.last });
  const body = pageBody({ ...request, isCut }, rows, view, ({ seq }) => [seq]);
  // No match in this range, but older jobs remain.
  return body.nextCursor === null && first > range.first ? { ...body, nextCursor: cursorOf([first]) } : body;
}

function rowsOf({ read, scan }: Database, request: PageRequest, filters: JobFilters, range: SeqRange) {
  const isPlain = Object.values(filters).every((filter) => filter === undefined) && !isFarPage(request);
  return selectLines(isPlain ? read : scan, filters, range, { limit: request.limit + 1, offset: request.offset });
}

/** A list omits longer payloads, results and progress, because a page has up to a thousand jobs. */
const LISTED_BYTES = 4096;
/** A clock set back by up to this much hides no job from a selection by time. */
const CLOCK_STEP_MS = 86_400_000;
const MAX_HISTORY = 100;

/** The range of job numbers to search, inclusive. */
export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

const COLUMNS = [
  "seq",
  "id",
  "queue",
  "kind",
  "state",
  "priority",
  "runAt",
  "attempts",
  "maxAttempts",
  "dedupeKey",
  "workerId",
  "label",
  "module",
  "createdBy",
  "scheduleId",
  "lastError",
  "correlationId",
  "startedAt",
  "finishedAt",
  "createdAt",
] as const;

/**
 * The states covered by a partial index, with its predicate as a literal: SQLite cannot use the
 * index with a bound value.
 */
const INDEXED: readonly { readonly states: readonly JobState[]; readonly holds: RawBuilder<boolean> }[] = [
  { states: ["ready"], holds: sql`state = 'ready'` },
  { states: ["scheduled", "retrying"], holds: sql`state in ('scheduled', 'retrying')` },
  { states: ["running"], holds: sql`state = 'running'` },
  { states: ["dead"], holds: sql`state = 'dead'` },
];

/** Whether a partial index covers all requested states. */
export function isByIndex({ state }: JobFilters): boolean {
  return state?.every((each) => INDEXED.some(({ states }) => states.includes(each))) === true;
}

/** One look-up each: in one query SQLite would read the whole table. */
async function wholeRange(db: ReadDb): Promise<SeqRange> {
  const first = await db
    .selectFrom("jobs")
    .select((e) => e.fn.min("seq").as("seq"))
    .executeTakeFirst();
  const last = await db
    .selectFrom("jobs")
    .select((e) => e.fn.max("seq").as("seq"))
    .executeTakeFirst();
  return { first: first?.seq ?? 1, last: last?.seq ?? 0 };
}

/** Jobs are numbered in the order of their creation, so a time range is found by binary search. */
export async function rangeOf(db: ReadDb, { from, to }: Pick<JobFilters, "from" | "to">): Promise<SeqRange> {
  const whole = await wholeRange(db);
  const first = from === undefined ? whole.first : await firstSince(db, whole, from - CLOCK_STEP_MS);
  const last = to === undefined ? whole.last : (await firstSince(db, whole, to + CLOCK_STEP_MS)) - 1;
  return { first, last };
}

async function firstSince(db: ReadDb, { first, last }: SeqRange, at: number): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = await db
      .selectFrom("jobs")
      .select(["seq", "createdAt"])
      .where("seq", ">=", middle)
      .orderBy("seq")
      .limit(1)
      .executeTakeFirst();
    if (row && row.createdAt < at) low = row.seq + 1;
    else high = middle;
  }
  return low;
}

/** Jobs that match the filters, unordered and unlimited. */
export function selected(db: ReadDb, filters: JobFilters, { first, last }: SeqRange) {
  const { queue, kind, state, label, readerId, q, from, to } = filters;
  let query = db.selectFrom("jobs").where("seq", ">=", first).where("seq", "<=", last);
  if (isByIndex(filters)) query = query.where("seq", "in", seqsByIndex(db, filters, last));
  if (queue !== undefined) query = query.where("queue", "=", queue);
  if (kind !== undefined) query = query.where("kind", "=", kind);
  if (state !== undefined) query = query.where("state", "in", state);
  if (label !== undefined) query = query.where("label", "=", label);
  if (label !== undefined && readerId !== undefined)
    query = query.where((e) =>
      e.or([e("queue", "!=", "timers"), e("createdBy", "is", null), e("createdBy", "=", readerId)]),
    );
  if (q !== undefined) query = query.where((e) => e.or([...holdsAny(["label", "kind", "lastError"], q), inPayload(q)]));
  if (from !== undefined) query = query.where("createdAt", ">=", from);
  if (to !== undefined) query = query.where("createdAt", "<", to);
  return query;
}

const holdsAny = (columns: readonly string[], q: string) => columns.map((column) => holdsText(column, q));

/** The text itself, as in JSON members, or as it is inside a JSON string. */
function inPayload(q: string) {
  const inString = JSON.stringify(q).slice(1, -1);
  return inString === q
    ? holdsText("payload", q)
    : sql<boolean>`(${holdsText("payload", q)} or ${holdsText("payload", inString)})`;
}

/** An index entry ends with the number; `+` keeps SQLite from reading the table by it instead. */
const upTo = (last: number) => sql<boolean>`+seq <= ${last}`;

/** The numbers of all jobs up to `last` in the partial indexes of the states. */
function seqsByIndex(db: ReadDb, { state = [], queue }: JobFilters, last: number) {
  const parts = INDEXED.filter(({ states }) => states.some((each) => state.includes(each))).map(({ holds }) => {
    const part = db.selectFrom("jobs").select("seq").where(holds).where(upTo(last));
    return queue === undefined ? part : part.where("queue", "=", queue);
  });
  const [head, ...tail] = parts;
  if (!head) throw new TypeError("no state of these has an index");
  return tail.reduce((all, part) => all.unionAll(part), head);
}

const listed = (name: "payload" | "progress" | "result"): RawBuilder<string | null> =>
  sql<string | null>`iif(octet_length(${sql.ref(name)}) <= ${LISTED_BYTES}, ${sql.ref(name)}, null)`;

/** Three listed texts, an error of 4000 characters and the names. */
const JOB_BYTES: RowBytes = {
  bytes: sql<number>`${bytesOf("lastError", "label", "dedupeKey")} + ${sql.join(
    (["payload", "progress", "result"] as const).map(
      (name) => sql`iif(octet_length(${sql.ref(name)}) <= ${LISTED_BYTES}, octet_length(${sql.ref(name)}), 0)`,
    ),
    sql` + `,
  )}`,
  largest: 32_768,
};

const WHOLE_BYTES: RowBytes = { bytes: bytesOf("payload", "lastError"), largest: 300_000 };

function selectLines(
  db: ReadDb,
  filters: JobFilters,
  range: SeqRange,
  page: { readonly limit: number; readonly offset: number },
  payload: "listed" | "whole" = "listed",
): Promise<FittingRows<JobLine>> {
  const query = selected(db, filters, range)
    .select(COLUMNS)
    .select([
      payload === "whole" ? sql<string | null>`payload`.as("payload") : listed("payload").as("payload"),
      ...(["progress", "result"] as const).map((name) => listed(name).as(name)),
      sql<number>`octet_length(payload)`.as("payloadBytes"),
    ])
    .orderBy("seq", "desc")
    .offset(page.offset);
  return fittingRows(query, page.limit, payload === "whole" ? WHOLE_BYTES : JOB_BYTES);
}

function findLine(db: ReadDb, id: string): Promise<JobLine | undefined> {
  return db
    .selectFrom("jobs")
    .select([...COLUMNS, "payload", "progress", "result", sql<number>`octet_length(payload)`.as("payloadBytes")])
    .where("id", "=", id)
    .executeTakeFirst();
}

/** The latest failed attempts, oldest first. */
async function attemptsOf(db: ReadDb, jobId: string): Promise<AttemptLine[]> {
  const rows = await db
    .selectFrom("job_attempts")
    .select(["attempt", "startedAt", "endedAt", "outcome", "error", "worker"])
    .$narrowType<Ended>()
    .where("jobId", "=", jobId)
    .orderBy("attempt", "desc")
    .limit(MAX_HISTORY)
    .execute();
  return rows.reverse();
}

/** Finished jobs that no index covers are counted among this many of the newest. */
const COUNTED_AT_ONCE = 200_000;
/** The same for a text, for which each payload is read. */
const TEXT_COUNTED_AT_ONCE = 50_000;

export interface JobCounts {
  readonly total: number;
  readonly states: Readonly<Record<JobState, number>>;
  /** False: older finished jobs were not counted. */
  readonly complete: boolean;
}

/** The number of jobs that a filter finds, by state, counted on the scan thread. */
export async function countJobsBy(db: Database, caller: PermissionHolder, given: JobFilters): Promise<JobCounts> {
  const filters = asSeenBy(caller, given);
  const range = await rangeOf(db.read, filters);
  const states = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<JobState, number>;
  const complete = await (filters.q === undefined
    ? addByState(db.scan, filters, range, states)
    : addByText(db, { ...filters, q: filters.q }, range, caller, states));
  return { total: Object.values(states).reduce((sum, n) => sum + n, 0), states, complete };
}

async function addByState(
  db: ReadDb,
  filters: JobFilters,
  range: SeqRange,
  states: Record<JobState, number>,
): Promise<boolean> {
  const wanted = filters.state ?? JOB_STATES;
  const [indexed, others] = [true, false].map((by) => wanted.filter((state) => isByIndex({ state: [state] }) === by));
  const newest = { first: Math.max(range.first, range.last + 1 - COUNTED_AT_ONCE), last: range.last };
  for (const [state, within] of [
    [indexed ?? [], range],
    [others ?? [], newest],
  ] as const) {
    if (state.length === 0) continue;
    const rows = await selected(db, { ...filters, state: [...state] }, within)
      .select(["state", (e) => e.fn.countAll<number>().as("n")])
      .groupBy("state")
      .execute();
    for (const row of rows) states[row.state] += row.n;
  }
  return others?.length === 0 || newest.first === range.first;
}

async function addByText(
  db: Database,
  filters: JobFilters & { readonly q: string },
  range: SeqRange,
  caller: PermissionHolder,
  states: Record<JobState, number>,
): Promise<boolean> {
  const first = isByIndex(filters) ? range.first : Math.max(range.first, range.last + 1 - TEXT_COUNTED_AT_ONCE);
  for await (const { state } of seenJobs(db, filters, { first, last: range.last }, caller)) states[state]++;
  return first === range.first;
}

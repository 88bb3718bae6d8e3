import type { Principal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { csvLine } from "../../core/text/csv.ts";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { arrayJson, jsonOf, RawJson, withFirst, withMember } from "../../http/api/route.ts";
import {
  cursorOf,
  isFarPage,
  MAX_PAGE_BYTES,
  type PageRequest,
  pageBody,
  readPage,
  requireCursor,
} from "../../http/api/shapes.ts";
import type { Context } from "../../module/feature.ts";
import { eventJobKey } from "../../store/commit/write-set.ts";
import type { Database, ReadDb } from "../../store/database.ts";
import type { EventsTable } from "../../store/schema.ts";
import { countFitting } from "../../store/sqlite/list-queries.ts";
import { eventJson } from "../notifications/index.ts";
import { pathsOf } from "./paths.ts";
import type { EventJobPayload } from "./pipeline/backlog.ts";
import * as queries from "./queries.ts";
import {
  EVENT_OUTCOMES,
  type EventFilters,
  type EventOutcome,
  type EventPaths,
  type ExportEvents,
  type ListEvents,
  type PathsQuery,
} from "./schema.ts";

export type EventsContext = Context<
  "pipeline" | "pipelineMetrics" | "backlog" | "jobs" | "runner" | "principals" | "projects"
>;

/** No slug has this character. */
const EVERY_PROJECT = "*";
const EXPORT_PAGE = 1000;
/** Limit for the payloads of an export's page. */
const EXPORT_BYTES = 1_048_576;
/** Payloads of larger pages are read in the scan thread. */
const LARGE_PAGE_BYTES = 262_144;

export async function listEvents(
  context: EventsContext,
  principal: Principal,
  { projectId: ref, include, ...query }: ListEvents,
) {
  const { db } = context;
  const request = readPage(query, ["number"]);
  const filters = filtersOf(query);
  const before = request.after ? Number(request.after[0]) : null;
  const projectId = projectsOf(context, principal, ref);
  if (filters.q !== undefined || Array.isArray(projectId)) requireNoNumber(request);
  const isPlain = isIndexed(query, projectId) && !isFarPage(request);
  const source = isPlain ? db.read : db.scan;
  const isWindow = !isPlain && !request.wantsTotal;
  const window = isWindow ? await searchWindow(db, before, { projectId, ...filters }) : null;
  const selection = { projectId, ...filters, ...(window === null ? {} : { afterSeq: window.afterSeq }) };
  const sizes = await queries.sizesOfPage(source, selection, {
    before,
    limit: request.limit + 1,
    offset: request.offset,
  });
  const { taken, bytes } = fitting(sizes.slice(0, request.limit), MAX_PAGE_BYTES);
  if (taken.length < Math.min(sizes.length, request.limit)) requireCursor(request);
  const from = bytes > LARGE_PAGE_BYTES ? db.scan : source;
  const rows = (await readEvents(from, selection, taken)).reverse();
  const total = request.wantsTotal ? await queries.countEvents(db.scan, selection) : undefined;
  const view = include === "outcome" ? await outcomeView(db.scan, rows) : eventJson;
  const { data, ...rest } = pageBody(request, rows, view, (row) => [row.seq], total);
  const last = rows[data.length - 1]?.seq;
  if (last !== undefined && sizes.length > data.length) rest.nextCursor = cursorOf([last]);
  // The part holds no further match, but older events remain.
  else if (rest.nextCursor === null && window?.isCut) rest.nextCursor = cursorOf([window.afterSeq + 1]);
  return new RawJson(withFirst("data", arrayJson(data), rest));
}

/**
 * Events that a page looks through when no index finds them: with a million, a rare match is found
 * over several pages, and none of them is slow.
 */
const SEARCHED_AT_ONCE = 500_000;
/** The same with their payloads. */
const READ_AT_ONCE = 50_000;

/** The newest events that a page looks through: those after `afterSeq`. */
async function searchWindow(
  { read, scan }: Pick<Database, "read" | "scan">,
  before: number | null,
  selection: queries.EventSelection,
): Promise<{ readonly afterSeq: number; readonly isCut: boolean }> {
  const { q, afterSeq = 0 } = selection;
  const end = before ?? (await queries.lastSeq(read)) + 1;
  const first = Math.max(afterSeq, end - 1 - (q === undefined ? SEARCHED_AT_ONCE : READ_AT_ONCE));
  const left = q === undefined ? undefined : await queries.beyondSearch(scan, { ...selection, afterSeq: first }, end);
  return { afterSeq: left ?? first, isCut: (left ?? first) > afterSeq };
}

/** @throws VALIDATION_FAILED */
function requireNoNumber({ wantsTotal }: PageRequest): void {
  if (!wantsTotal) return;
  throw invalidField("query", "page", "follow nextCursor when searching");
}

const RANKS: ReadonlyMap<string, number> = new Map(EVENT_OUTCOMES.map((outcome, rank) => [outcome, rank]));

/** Events as JSON with the outcome of the rules. */
async function outcomeView(db: ReadDb, rows: readonly EventsTable[]) {
  const seqs = rows.map(({ seq }) => seq);
  const decided = await queries.outcomesOf(db, seqs);
  const open = rows.filter(({ processedAt }) => processedAt === null).map(({ seq }) => seq);
  const failed = new Set(open.length === 0 ? [] : await queries.failedOf(db, open));
  const rank = (outcome: string): number => RANKS.get(outcome) ?? RANKS.size;
  return (event: EventsTable) => {
    const of = decided.filter(({ eventSeq }) => eventSeq === event.seq);
    const [best] = of.sort((a, b) => rank(a.outcome) - rank(b.outcome));
    const silent = event.processedAt !== null ? "no rule" : failed.has(event.seq) ? "failed" : "pending";
    const outcome: EventOutcome = {
      result: best?.outcome ?? silent,
      rules: of.reduce((sum, { rules }) => sum + rules, 0),
      notificationId: best?.notificationId ?? null,
    };
    return withMember(eventJson(event), "outcome", jsonOf(outcome));
  };
}

/** Events that are read for their paths, and their size together. */
const PATH_EVENTS = 500;
const PATH_BYTES = 1_048_576;
const MAX_TYPES = 500;

/** Paths, types and sources of recent events, for writing conditions. */
export async function eventPaths(
  context: EventsContext,
  principal: Principal,
  { projectId: ref, type }: PathsQuery,
): Promise<EventPaths> {
  const { scan } = context.db;
  const projectId = projectsOf(context, principal, ref);
  const { afterSeq } = Array.isArray(projectId) ? await searchWindow(context.db, null, { projectId }) : { afterSeq: 0 };
  const selection = { projectId, type, afterSeq };
  const page = { before: null, limit: PATH_EVENTS, offset: 0 };
  const { taken } = fitting(await queries.sizesOfPage(scan, selection, page), PATH_BYTES);
  const events = (await readEvents(scan, selection, taken)).reverse();
  const seen = new Set(events.map((event) => event.type));
  const types = typeof projectId === "string" ? await queries.typesOf(scan, projectId, MAX_TYPES) : [...seen].sort();
  const sources = new Set(events.flatMap(({ source }) => source ?? []));
  return { events: events.length, paths: await pathsOf(events), types, sources: [...sources].sort() };
}

export async function getEvent(context: EventsContext, principal: Principal, id: string) {
  const { db } = context;
  const event = await readableEvent(context, principal, id);
  const notifications = await queries.notificationsOf(db.read, event.seq);
  const failure = await queries.openFailure(db.read, event.seq);
  const json = withMember(eventJson(event), "notifications", jsonOf(notifications));
  return new RawJson(failure ? withMember(json, "failure", jsonOf(failure)) : json);
}

/** Evaluates the event's rules again, by a job, but for those that decided for recipients. */
export async function reprocessEvent(
  context: EventsContext,
  principal: Principal,
  id: string,
): Promise<{ jobId: string }> {
  const { db, jobs, audit, clock } = context;
  const { seq } = await readableEvent(context, principal, id);
  return db.write(async (trx) => {
    const payload: EventJobPayload = { eventSeq: seq, again: true };
    const { jobId } = await jobs.enqueue(
      {
        queue: "event-processing",
        kind: "event.process",
        payload,
        runAt: clock.now(),
        dedupeKey: eventJobKey(seq),
        createdBy: principal.kind === "apiKey" ? null : principal.userId,
      },
      { trx },
    );
    await audit.record(
      { action: "job.reprocess", resourceType: "event", resourceId: id, metadata: { jobId } },
      { trx },
    );
    return { jobId };
  });
}

/** Lines of an export, oldest first; each page is a short read in the scan thread. */
export function exportEvents(
  context: EventsContext,
  principal: Principal,
  { projectId: ref, format = "ndjson", ...query }: ExportEvents,
): AsyncIterable<string> {
  const projectId = projectsOf(context, principal, ref);
  const selection = { projectId, ...filtersOf(query) };
  const scan = context.db.scan;
  return (async function* () {
    if (format === "csv") yield csvLine(EVENT_COLUMNS);
    for (let after = selection.afterSeq ?? 0; ; ) {
      const { taken } = fitting(await queries.sizesAfter(scan, selection, after, EXPORT_PAGE), EXPORT_BYTES);
      for (const event of await readEvents(scan, selection, taken))
        yield format === "csv" ? csvLine(eventCells(event)) : `${eventJson(event)}\n`;
      const last = taken.at(-1);
      if (!last) return;
      after = last.seq;
    }
  })();
}

/** @throws EVENT_NOT_FOUND, also for an event of a project that the caller may not read. */
async function readableEvent({ db, projects }: EventsContext, principal: Principal, id: string): Promise<EventsTable> {
  const event = isUuid(id) ? await queries.findEvent(db.read, id) : undefined;
  if (!event || !projects.has(principal, event.projectId, "events:read"))
    throw new PrismError("EVENT_NOT_FOUND", "No such event");
  return event;
}

/** @returns a project, several, or all of them: null */
function projectsOf({ projects }: EventsContext, principal: Principal, ref: string | undefined) {
  if (ref === EVERY_PROJECT) return projects.readable(principal, "events:read");
  return projects.requireOrDefault(principal, ref, "events:read");
}

function filtersOf(query: EventFilters): EventFilters {
  const { type, level, source, from, to, afterSeq, processed, own, q } = query;
  return { type, level, source, from, to, afterSeq, processed, own, q };
}

/** Whether an index finds the page; any other read could visit the whole project. */
function isIndexed(
  { level, source, from, to, processed, own, type, q }: EventFilters,
  projectId: string | readonly string[] | null,
): boolean {
  const isOneType = type === undefined || (type.length === 1 && !type[0]?.endsWith("*"));
  const isOneRange = typeof projectId === "string" ? isOneType : projectId === null && type === undefined;
  return isOneRange && [level, source, from, to, processed, own, q].every((filter) => filter === undefined);
}

/** As many of the events as the limit allows, at least one. */
function fitting(
  sizes: readonly queries.EventSize[],
  limitBytes: number,
): { taken: queries.EventSize[]; bytes: number } {
  const count = countFitting(
    sizes.map(({ bytes }) => bytes),
    limitBytes,
  );
  const taken = sizes.slice(0, count);
  return { taken, bytes: taken.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Reads the events of the given sizes, oldest first. */
async function readEvents(
  db: ReadDb,
  selection: queries.EventSelection,
  taken: readonly queries.EventSize[],
): Promise<EventsTable[]> {
  const [first, last] = [taken[0]?.seq, taken.at(-1)?.seq];
  if (first === undefined || last === undefined) return [];
  return queries.eventsBetween(db, selection, [Math.min(first, last), Math.max(first, last)]);
}

/** The columns of an event in CSV, for HTTP and the command line. */
const EVENT_COLUMNS = [
  "seq",
  "id",
  "projectId",
  "type",
  "level",
  "source",
  "dedupeKey",
  "occurredAt",
  "receivedAt",
  "processedAt",
  "correlationId",
  "payload",
] as const;

/** An event's cells, in the order of {@link EVENT_COLUMNS}. */
function eventCells(event: EventsTable): (string | number | null)[] {
  const times = {
    occurredAt: toRfc3339(event.occurredAt),
    receivedAt: toRfc3339(event.receivedAt),
    processedAt: toRfc3339OrNull(event.processedAt),
    correlationId: event.correlationId ?? event.id,
  };
  const row = { ...event, ...times };
  return EVENT_COLUMNS.map((column) => row[column]);
}

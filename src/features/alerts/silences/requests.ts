import { sql } from "kysely";
import type { Principal } from "../../../core/caller.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { missingPermission } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { Projects } from "../../access/index.ts";
import { mayReadAlert } from "../incidents/view.ts";
import type { LabelRecord } from "../model/labels.ts";
import { type Matcher, matchersText, matcherText, parseMatcher, sortedMatchers } from "../model/matchers.ts";
import { compileMatcher, preparePatterns } from "../model/matching.ts";
import type { AlertView } from "../types.ts";
import {
  checkDraft,
  checkMatchers,
  matchersOf,
  matchesAnyValue,
  type SilenceDraft,
  textOf,
  timesOf,
} from "./live-silence.ts";
import * as queries from "./queries.ts";
import type { CreateSilence, GivenMatcher, PreviewSilence, UpdateSilence } from "./schema.ts";
import { Silence, type SilenceRow, type SilenceView } from "./silence.ts";
import { NO_END, type SilenceSpan, type SilenceTimes, spanAt, spansFrom, stateAt } from "./spans.ts";

/*
 * Silences of a person without `silences:write` who was notified of an incident: for at most a day, by
 * equality with labels of an alert of it that fires, and of no alert of which the person was not notified.
 */

const MAX_MS = DAY_MS;

interface PagedContext {
  readonly projects: Projects;
  /** The firing alerts that the matchers match. */
  readonly hits: readonly AlertView[];
}

/** @throws UNAUTHORIZED_ROLE unless the silence is one that a page allows */
export async function requirePagedSilence(
  { projects, hits }: PagedContext,
  principal: Principal,
  draft: SilenceDraft,
  now: EpochMs,
  trx: Trx,
): Promise<void> {
  const { projectId, matchers } = draft;
  if (principal.kind === "apiKey" || principal.userId === null) throw missingPermission("silences:write");
  if (!projects.mayBeGiven(principal, projectId, "silences:write")) throw missingPermission("silences:write");
  const { userId } = principal;
  const own = await ownAlert(trx, userId, projectId, matchers);
  if (!own) throw refused("no alert with it fires in an open incident that you were notified of");
  if (!isPlain(draft, now)) throw refused("of an incident that you were notified of, silence labels for a day at most");
  if (own.isNamed === 0) throw refused("add the matcher of alertname, or of each label of an alert without it");
  const others = await othersOf(trx, userId, hits);
  if (others > 0)
    throw refused(`${countText(others, "other alert matches", "other alerts match")}; add labels of the alert`);
}

function refused(hint: string) {
  return missingPermission("silences:write", hint);
}

/** Starts now, ends within a day, and has equality matchers only. */
function isPlain({ matchers, startsAt, endsAt, recurrence }: SilenceDraft, now: EpochMs): boolean {
  const isNow = startsAt === null || startsAt <= now;
  const isEqual = matchers.every(({ operator, value }) => operator === "=" && value !== "");
  return recurrence === null && isNow && isEqual && endsAt <= now + MAX_MS;
}

/**
 * A firing alert with these labels, of an open incident of which the user was notified. It is named if
 * its alertname is among them, or all labels of an alert without that: what fires later is matched too.
 */
async function ownAlert(trx: Trx, userId: string, projectId: string, matchers: readonly Matcher[]) {
  const wanted = JSON.stringify(matchers.map(({ name, value }) => [name, value]));
  const { rows } = await sql<{ isNamed: 0 | 1 }>`select not exists (select 1 from json_each(a.labels) l
      where (l.key = 'alertname' or json_type(a.labels, '$.alertname') is null)
      and not exists (select 1 from json_each(${wanted}) w where l.key = w.value ->> 0)) as isNamed
    from incidents i join incident_alerts m on m.incidentId = i.id and m.leftAt is null join alerts a on a.id = m.alertId
    where i.projectId = ${projectId} and i.state <> 'resolved' and a.state = 'firing' and ${wasNotified(userId)}
    and not exists (select 1 from json_each(${wanted}) w where not exists (
      select 1 from json_each(a.labels) l where l.key = w.value ->> 0 and l.value = w.value ->> 1))
    order by isNamed desc limit 1`.execute(trx);
  return rows[0];
}

/** How many of the alerts are in no open incident that the user was notified of. */
async function othersOf(trx: Trx, userId: string, alerts: readonly AlertView[]): Promise<number> {
  const ids = JSON.stringify(alerts.map(({ id }) => id));
  const { rows } = await sql<{ others: number }>`select count(*) as others from json_each(${ids}) e where not exists (
    select 1 from incident_alerts m join incidents i on i.id = m.incidentId
    where m.alertId = e.value and m.leftAt is null and i.state <> 'resolved' and ${wasNotified(userId)})`.execute(trx);
  return rows[0]?.others ?? 0;
}

function wasNotified(userId: string) {
  return sql<boolean>`exists (select 1 from notifications n join notification_recipients r on r.notificationId = n.id
    where n.incidentId = i.id and r.userId = ${userId})`;
}

export interface SilencesContext extends Uses<"db" | "projects" | "silences" | "idempotency"> {
  readonly clock: { now(): EpochMs };
  readonly warnHits: () => number;
}

/** @throws VALIDATION_FAILED */
export function newDraft(
  principal: Principal,
  input: Omit<PreviewSilence, "matchers"> & { readonly projectId: string; readonly matchers: readonly Matcher[] },
  now: EpochMs,
): SilenceDraft {
  const recurrence = input.recurrence ?? null;
  return {
    projectId: input.projectId,
    kind: input.kind ?? (recurrence === null ? "silence" : "maintenance"),
    matchers: input.matchers,
    startsAt: input.startsAt ?? null,
    endsAt: endOf(input, input.startsAt ?? now, recurrence === null ? null : NO_END),
    recurrence,
    comment: input.comment ?? "",
    createdBy: creatorOf(principal),
    annotations: (input.annotations ?? {}) as LabelRecord,
  };
}

/** Members that are missing stay. @throws VALIDATION_FAILED */
export function changedDraft(
  old: SilenceRow,
  input: Omit<UpdateSilence, "matchers"> & { readonly matchers?: readonly Matcher[] | undefined },
): SilenceDraft {
  const times = timesOf(old);
  const startsAt = input.startsAt ?? old.startsAt;
  const recurrence = input.recurrence === undefined ? times.recurrence : input.recurrence;
  const openEnd = recurrence !== null && input.endsAt === null ? NO_END : old.endsAt;
  return {
    projectId: old.projectId,
    kind: input.kind ?? old.kind,
    matchers: input.matchers ?? matchersOf(old),
    startsAt,
    endsAt: endOf(input, startsAt, openEnd),
    recurrence,
    comment: input.comment ?? old.comment,
    createdBy: old.createdBy,
    annotations: (input.annotations ?? JSON.parse(old.annotations)) as LabelRecord,
  };
}

/**
 * The alerts that a silence would suppress now. Nothing is stored.
 * @throws as for creating one, for what that refuses; without times only for the rest
 */
export async function previewSilence(context: SilencesContext, principal: Principal, input: PreviewSilence) {
  const { silences, clock, db } = context;
  const { projectId, matchers } = await selected(context, principal, input, "events:read");
  const now = clock.now();
  const isTimed = input.recurrence != null || input.durationMs !== undefined || typeof input.endsAt === "number";
  const draft = isTimed ? newDraft(principal, { ...input, projectId, matchers }, now) : null;
  if (draft) checkDraft(draft, now);
  else checkMatchers(matchers);
  const hits = await readable(context, principal, projectId, silences.hits(projectId, matchers));
  const times = draft && { ...draft, startsAt: Math.max(draft.startsAt ?? now, now) };
  const { warnings, needs } = judge(context, matchers, hits.length, times);
  const incidents = await queries.openIncidentsOf(
    db.read,
    projectId,
    hits.map(({ id }) => id),
  );
  return {
    projectId,
    matchers: sortedMatchers(matchers),
    text: matchersText(matchers),
    hits: hits.length,
    alerts: hits.slice(0, SHOWN).map(({ id, fingerprint, labels, startsAt }) => ({
      id,
      fingerprint,
      labels,
      startsAt: toRfc3339(startsAt),
    })),
    incidents: incidents.slice(0, SHOWN),
    windows: times === null ? [] : windowsOf(times, now),
    warnings,
    needs,
  };
}

const SHOWN = 50;
const SHOWN_WINDOWS = 5;
/** A silence that is longer is easily forgotten. */
const LONG_MS = 2_592_000_000;

function windowsOf(times: SilenceTimes, now: EpochMs) {
  const windows: ReturnType<typeof spanView>[] = [];
  for (const span of spansFrom(times, now)) {
    windows.push(spanView(span));
    if (windows.length === SHOWN_WINDOWS) break;
  }
  return windows;
}

function judge({ warnHits }: SilencesContext, matchers: readonly Matcher[], hits: number, times: SilenceTimes | null) {
  const isBroad = hits > warnHits();
  const isAny = matchesAnyValue(matchers);
  const isLong = times?.recurrence === null && times.endsAt - times.startsAt > LONG_MS;
  const warnings = [
    isBroad &&
      ({
        code: "BROAD",
        message: `${countText(hits, "alert matches", "alerts match")}, more than silences.warnHits (${warnHits()})`,
      } as const),
    isAny && ({ code: "ANY_VALUE", message: "The matchers match any value: alerts of any kind may match" } as const),
    hits === 0 && ({ code: "NO_HITS", message: "No firing alert matches now" } as const),
    isLong && ({ code: "LONG", message: "It lasts longer than 30 days" } as const),
  ].filter((each) => each !== false);
  return { warnings, needs: isBroad || isAny ? ("silences:broad" as const) : null };
}

/** Of a person who does not read the project those of incidents that paged the person. @throws UNAUTHORIZED_ROLE */
async function readable(
  { db, projects }: SilencesContext,
  principal: Principal,
  projectId: string,
  hits: readonly AlertView[],
): Promise<readonly AlertView[]> {
  if (projects.has(principal, projectId, "events:read")) return hits;
  const found: AlertView[] = [];
  for (const alert of hits.slice(0, MAX_READ))
    if (await mayReadAlert(projects, db.read, principal, alert)) found.push(alert);
  if (found.length === 0) throw missingPermission("events:read");
  return found;
}

/** Alerts that a preview checks for pages to the person. */
const MAX_READ = 100;

type Selection = Pick<CreateSilence, "projectId" | "matchers" | "incidentId" | "notificationId">;

/**
 * Project and matchers of a request. For `silences:write` also of a project whose rules reach the user, who may have
 * been paged. @throws VALIDATION_FAILED, PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INCIDENT_NOT_FOUND
 */
export async function selected(
  { db, projects }: SilencesContext,
  principal: Principal,
  { projectId, matchers, incidentId, notificationId }: Selection,
  right: "silences:write" | "events:read",
  trx?: Trx,
): Promise<{ readonly projectId: string; readonly matchers: readonly Matcher[] }> {
  const isReached = (id: string): boolean => projects.mayBeGiven(principal, id, right);
  if ([matchers, incidentId, notificationId].filter((each) => each !== undefined).length !== 1)
    throw invalidField("body", "matchers", "give matchers, incidentId or notificationId");
  if (matchers) {
    const found = projects.find(projects.refOf(principal, projectId));
    const id = found !== undefined && isReached(found) ? found : projects.requireOrDefault(principal, projectId, right);
    return { projectId: id, matchers: await readMatchers(matchers) };
  }
  const incident = await queries.incidentOf(trx ?? db.read, { incidentId, notificationId });
  const isVisible = incident && (projects.has(principal, incident.projectId, right) || isReached(incident.projectId));
  if (!isVisible || (projectId !== undefined && projects.find(projectId) !== incident.projectId))
    throw new PrismError("INCIDENT_NOT_FOUND", "No such incident");
  const common = commonLabels(await queries.labelsOfIncident(trx ?? db.read, incident.id));
  if (common.length === 0)
    throw invalidField("body", "incidentId", "its alerts have no label in common; give matchers");
  return { projectId: incident.projectId, matchers: common };
}

/** One matcher for each label that all alerts have with the same value. */
function commonLabels(alerts: readonly LabelRecord[]): Matcher[] {
  const [first = {}, ...others] = alerts;
  return Object.entries(first)
    .filter(([name, value]) => others.every((labels) => labels[name] === value))
    .map(([name, value]) => ({ name, operator: "=", value }));
}

/**
 * Compiling takes a while, and no event is stored during a transaction: call it before one too, in which
 * the patterns are then known. @throws VALIDATION_FAILED, WORK_LIMITED
 */
export async function readMatchers(given: readonly GivenMatcher[]): Promise<Matcher[]> {
  const matchers = given.map((matcher, at): Matcher => {
    if (typeof matcher !== "string") return { ...matcher, operator: matcher.operator ?? "=" };
    try {
      return parseMatcher(matcher);
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      throw invalidField("body", `matchers.${at}`, error.message);
    }
  });
  await preparePatterns(matchers);
  requirePossible(matchers);
  return matchers;
}

/** An alert has one value of a label. @throws VALIDATION_FAILED for matchers of which one excludes another */
function requirePossible(matchers: readonly Matcher[]): void {
  for (const equal of matchers.filter(({ operator }) => operator === "=")) {
    const other = matchers.find((each) => each.name === equal.name && !isMatch(each, equal.value));
    if (other === undefined) continue;
    const hint = other.operator === "=" ? `; for either of the values use ${equal.name}=~"…|…"` : "";
    const pair = `${matcherText(equal)} and ${matcherText(other)}`;
    throw invalidField("body", "matchers", `can never match: ${pair} exclude each other${hint}`);
  }
}

function isMatch(matcher: Matcher, value: string): boolean {
  try {
    return compileMatcher(matcher)(value);
  } catch {
    // An invalid pattern is reported with its place.
    return true;
  }
}

/** @param open the end if none is given; null: one is required. @throws VALIDATION_FAILED */
function endOf(
  { endsAt, durationMs }: Pick<CreateSilence, "endsAt" | "durationMs">,
  startsAt: EpochMs,
  open: EpochMs | null,
): EpochMs {
  if (durationMs !== undefined && typeof endsAt === "number")
    throw invalidField("body", "durationMs", "give either this or endsAt");
  const end = endsAt ?? (durationMs === undefined ? open : startsAt + durationMs);
  if (end === null) throw invalidField("body", "endsAt", "give endsAt or durationMs, or a recurrence");
  return Math.min(end, NO_END);
}

export function creatorOf(principal: Principal): string {
  return principal.kind === "apiKey" ? `key:${principal.keyId}` : (principal.userId ?? principal.kind);
}

export function silenceView(row: SilenceRow, now: EpochMs): SilenceView {
  const times = timesOf(row);
  const span = spanAt(times, now);
  const state = stateAt(times, now);
  return Silence.view(row, { state, matchers: matchersOf(row), text: textOf(row), window: span && spanView(span) });
}

function spanView({ startsAt, endsAt }: SilenceSpan) {
  return { startsAt: toRfc3339(startsAt), endsAt: toRfc3339(endsAt) };
}

import { currentCaller, type Principal } from "../../core/caller.ts";
import { DAY_MS, type EpochMs, MINUTE_MS, toRfc3339OrNull } from "../../core/time/clock.ts";
import { rowsOf } from "../../store/database.ts";
import { IS_BRIEF } from "../alerts/index.ts";
import { DIRECT_KEY, IN_FACTS } from "./facts.ts";
import { type ReportsContext, type Scope, scopeOf, shareOf, timesOf } from "./range.ts";
import type { NoiseReport, NoisyKey, RangeQuery, Suggestion } from "./schema.ts";

/** Keys of a report. */
const MAX_KEYS = 50;
/** Incidents of these keys that are examined, the newest first. */
const MAX_EXAMINED = 20_000;
/** How many of the newest incidents of a key have their alerts read, and how many alerts in all. */
const MAX_LABELLED = 100;
const MAX_ALERTS = 10_000;
const STEPS_PER_FACT = 20;
/** A suggestion needs so many incidents, and applies to this share of them. */
const LEAST = 5;
const MOST_OF = 0.8;
/** Within this time an incident that ends by itself need not page. */
const SHORT_MS = 2 * MINUTE_MS;
const GROUP_WAIT_MS = SHORT_MS;
/** Incidents that begin so soon after another one come with it. */
const TOGETHER_MS = 5 * MINUTE_MS;
const NEVER_MS = 30 * DAY_MS;
/** Of a suggestion: more say no more. */
const MAX_MATCHERS = 20;

const KEYS = `select projectId, f.key, count(*) incidents, sum(pages) pages, sum(pagedAt is not null) paged,
  sum(pagedAt is not null and firstAckAt is not null) acknowledged, sum(reopened) flaps,
  sum(${IS_BRIEF}) brief
  ${IN_FACTS} where isDirect = 0 group by projectId, f.key having sum(pages) > 0 order by pages desc, f.key limit ${MAX_KEYS}`;
const TOTAL = `select coalesce(sum(pages), 0) pages, count(*) n ${IN_FACTS}`;
const EXAMINED = `select f.projectId, f.key, f.openedAt, f.resolvedAt, f.pages, f.labels, f.firstAckAt is not null isAcked,
  f.end in ('alerts', 'timeout', 'auto') isOwnEnd ${IN_FACTS}
  and (f.projectId || ' ' || f.key) in (select value from json_each(?)) order by f.openedAt desc limit ${MAX_EXAMINED}`;
/** Alerts of the newest incidents of keys, those of the newest one first. */
const LABELS = `select n.id, a.labels from (select f.incidentId, f.projectId || ' ' || f.key id,
    row_number() over (partition by f.projectId, f.key order by f.openedAt desc, f.incidentId) at ${IN_FACTS}
    and (f.projectId || ' ' || f.key) in (select value from json_each(?))) n
  cross join incident_alerts m on m.incidentId = n.incidentId cross join alerts a on a.id = m.alertId
  where n.at <= ${MAX_LABELLED} order by n.at limit ${MAX_ALERTS}`;
/** The hits of a silence are in the order of their times. */
const SILENCED = `select f.projectId, f.key, max(h.at) at
  from json_each(?) p cross join silences s on s.projectId = p.value
  cross join silence_hits h on h.silenceId = s.id and h.at >= ? and h.at < ?
  cross join incident_facts f on f.incidentId = h.incidentId group by f.projectId, f.key`;

interface KeyRow {
  readonly projectId: string;
  readonly key: string;
  readonly incidents: number;
  readonly pages: number;
  readonly paged: number;
  readonly acknowledged: number;
  readonly flaps: number;
  readonly brief: number;
}

export interface ExaminedIncident {
  readonly projectId: string;
  readonly key: string;
  readonly openedAt: EpochMs;
  readonly resolvedAt: EpochMs;
  readonly pages: number;
  readonly labels: string;
  readonly isAcked: 0 | 1;
  readonly isOwnEnd: 0 | 1;
}

type Labels = Readonly<Record<string, string>>;

/** The labels of an alert, as JSON, of a key of a project. */
interface AlertLabels {
  readonly id: string;
  readonly labels: string;
}

/** @throws VALIDATION_FAILED, PROJECT_NOT_FOUND */
export async function noiseReport(
  context: ReportsContext,
  principal: Principal,
  query: RangeQuery,
): Promise<NoiseReport> {
  const { scan } = context.db;
  const scope = await scopeOf(context, principal, query);
  const parameters = [scope.projects, scope.from, scope.to];
  const [total] = await rowsOf<{ pages: number; n: number }>(scan, TOTAL, parameters);
  currentCaller().charge?.({ steps: (total?.n ?? 0) * STEPS_PER_FACT });
  const keys = await rowsOf<KeyRow>(scan, KEYS, parameters);
  const wanted = JSON.stringify(keys.map(idOf));
  const examined = await rowsOf<ExaminedIncident>(scan, EXAMINED, [...parameters, wanted]);
  const silenced = await rowsOf<{ projectId: string; key: string; at: number }>(scan, SILENCED, parameters);
  const silencedAt = new Map(silenced.map((row) => [idOf(row), row.at]));
  const alerts = await rowsOf<AlertLabels>(scan, LABELS, [...parameters, wanted]);
  const suggested = suggestionsFor(examined.toReversed(), scope, alerts);
  const data = keys.map(
    (row): NoisyKey => ({
      ...{ key: row.key, projectId: row.projectId, incidents: row.incidents, pages: row.pages },
      acknowledgedShare: shareOf(row.acknowledged, row.paged),
      selfResolvedShare: shareOf(row.brief, row.incidents) ?? 0,
      ...{ flaps: row.flaps, silencedAt: toRfc3339OrNull(silencedAt.get(idOf(row)) ?? null) },
      suggestions: suggested.get(idOf(row)) ?? [],
    }),
  );
  return { ...timesOf(scope), pages: total?.pages ?? 0, data };
}

const idOf = ({ projectId, key }: { readonly projectId: string; readonly key: string }) => `${projectId} ${key}`;

/**
 * What would have saved pages, by the incidents as they were: those that a silence would have withheld, those
 * that ended within a longer group wait, and those that would have joined another one. @param incidents the earliest
 * first. @param alerts of their newest ones, those of the newest first
 */
export function suggestionsFor(
  incidents: readonly ExaminedIncident[],
  { to }: Pick<Scope, "to">,
  alerts: readonly AlertLabels[] = [],
): ReadonlyMap<string, Suggestion[]> {
  const labelsBy = Map.groupBy(alerts, ({ id }) => id);
  const byKey = new Map(
    [
      ...Map.groupBy(
        incidents.filter(({ key }) => key !== DIRECT_KEY),
        idOf,
      ),
    ].map(([id, own]) => [id, examinedKey(own, labelsBy.get(id))]),
  );
  const found = new Map<string, Suggestion[]>();
  for (const [id, own] of byKey) {
    if (own.incidents.length < LEAST) continue;
    const all = [unacknowledged(own, to), brief(own), together(own, byKey)].filter((each) => each !== null);
    if (all.length > 0)
      found.set(
        id,
        // Of equal ones the gentlest first.
        all.sort((a, b) => b.saves - a.saves || GENTLEST.indexOf(a.kind) - GENTLEST.indexOf(b.kind)),
      );
  }
  return found;
}

const GENTLEST: readonly Suggestion["kind"][] = ["brief", "together", "unacknowledged"];

/** The examined incidents of a key. */
interface ExaminedKey {
  /** The earliest first. */
  readonly incidents: readonly ExaminedIncident[];
  readonly matchers: string[];
  /** Of an alert of the newest one. */
  readonly labels: Labels;
}

/** The labels of the group are those of all alerts; further ones may be. */
function examinedKey(incidents: readonly ExaminedIncident[], alerts: readonly AlertLabels[] = []): ExaminedKey {
  const groups = labelsOf(incidents.toReversed());
  const own = labelsOf(alerts);
  const matchers = Object.entries({ ...commonOf(groups), ...commonOf(own) })
    .slice(0, MAX_MATCHERS)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return { incidents, matchers, labels: { ...groups[0], ...own[0] } };
}

/** In the same order; most are the same text, which is read once. */
function labelsOf(rows: readonly { readonly labels: string }[]): Labels[] {
  return [...new Set(rows.map(({ labels }) => labels))].map((text) => JSON.parse(text) as Labels);
}

/** The labels that all have. */
function commonOf(all: readonly Labels[]): Labels {
  const [first = {}] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => value !== "" && all.every((each) => each[name] === value)),
  );
}

/** An alert without a response of late; in the rest of the time those with one are kept. */
function unacknowledged({ incidents, matchers, labels }: ExaminedKey, to: EpochMs): Suggestion | null {
  const recent = incidents.filter(({ openedAt }) => openedAt >= to - NEVER_MS);
  if (recent.length < LEAST || recent.some(({ isAcked }) => isAcked === 1)) return null;
  const saves = pagesOf(incidents.filter(({ isAcked }) => isAcked === 0));
  const text = `No one responded to any of the ${recent.length} in 30 days: route it to a policy that pages no one, or silence it; it would have saved ${saves} of ${pagesOf(incidents)} pages${gentlerText(incidents, saves)}`;
  return { ...NOTHING, kind: "unacknowledged", text, matchers, labels, saves };
}

/** A gentler change is named if it saves this share. */
const GENTLER_SHARE = 0.5;

/** A wait keeps the pages of those that last, which a silence, a route and an inhibition do not. */
function gentlerText(incidents: readonly ExaminedIncident[], saves: number): string {
  const waiting = pagesOf(shortOf(incidents));
  return waiting < saves * GENTLER_SHARE || waiting === 0
    ? ""
    : `. Gentler: \`for\` at its source or a group wait of 2 minutes would have saved ${waiting} of them, and alerts that last would still page`;
}

function shortOf(incidents: readonly ExaminedIncident[]): readonly ExaminedIncident[] {
  return incidents.filter(({ isOwnEnd, openedAt, resolvedAt }) => isOwnEnd === 1 && resolvedAt - openedAt <= SHORT_MS);
}

function brief({ incidents, matchers, labels }: ExaminedKey): Suggestion | null {
  const short = shortOf(incidents);
  if (short.length < incidents.length * MOST_OF) return null;
  const saves = pagesOf(short);
  const share = Math.round((short.length / incidents.length) * 100);
  const text = `It ends by itself within two minutes in ${share} %: with \`for\` at its source or a group wait of 2 minutes ${saves} of ${pagesOf(incidents)} pages would have been saved`;
  return { ...NOTHING, kind: "brief", text, matchers, labels, groupWaitMs: GROUP_WAIT_MS, saves };
}

/** The key that most of these follow within minutes. */
function together(
  { incidents: own, matchers, labels }: ExaminedKey,
  byKey: ReadonlyMap<string, ExaminedKey>,
): Suggestion | null {
  let best: { readonly other: ExaminedKey; readonly joined: readonly ExaminedIncident[] } | null = null;
  const [first] = own;
  for (const other of byKey.values()) {
    const [theirs] = other.incidents;
    if (!first || !theirs || theirs.projectId !== first.projectId || theirs.key === first.key) continue;
    const joined = own.filter(startsWithin(other.incidents));
    if (joined.length > (best?.joined.length ?? own.length * MOST_OF - 1)) best = { other, joined };
  }
  if (best === null || best.joined.length < own.length * MOST_OF) return null;
  const { other, joined } = best;
  const saves = pagesOf(joined);
  const key = other.incidents[0]?.key ?? "";
  const text = `It begins within five minutes after ${key} in ${Math.round((joined.length / own.length) * 100)} %: one group, which pages once for both, or a rule that inhibits it, would have saved ${saves} of ${pagesOf(own)} pages${gentlerText(own, saves)}`;
  const withOther = { with: key, withMatchers: other.matchers, withLabels: other.labels };
  return { ...NOTHING, kind: "together", text, matchers, labels, ...withOther, saves };
}

/** Whether one of the others began shortly before. @param others the earliest first; asked in this order, too */
function startsWithin(others: readonly ExaminedIncident[]) {
  let at = 0;
  return ({ openedAt }: ExaminedIncident): boolean => {
    while (at < others.length && (others[at]?.openedAt ?? 0) < openedAt - TOGETHER_MS) at += 1;
    const next = others[at]?.openedAt ?? Number.POSITIVE_INFINITY;
    return next <= openedAt;
  };
}

const NOTHING = { groupWaitMs: null, with: null, withMatchers: [], withLabels: {} };

function pagesOf(incidents: readonly ExaminedIncident[]): number {
  return incidents.reduce((sum, { pages }) => sum + pages, 0);
}

import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Spec } from "../../../module/config-kind.ts";
import { rowsOf } from "../../../store/database.ts";
import { userNames } from "../../access/index.ts";
import type { AlertView } from "../../alerts/index.ts";
import { type ForecastOutcome, outcomeChanges, outcomeOf } from "../../explain/index.ts";
import { countRule } from "../../rules/index.ts";
import type { Compared, Step } from "./compare.ts";
import { type ForecastSides, forecastSides, type PlannedState } from "./planned-state.ts";
import type { ConfigurationContext, ReadRequest } from "./reading.ts";
import type { History, OutcomeView } from "./schema.ts";

/* What the incidents of the last days would have been with the planned configuration. Nothing is stored. */

const MAX_INCIDENTS = 1000;
const MAX_LISTED = 200;
const MAX_RULES = 20;
/** For all of it: a plan is waited for. */
const LIMIT_MS = 10_000;
const STEPS_PER_INCIDENT = 20_000;
const STEPS_PER_EVENT = 400;

interface Past {
  readonly id: string;
  readonly projectId: string;
  readonly number: number;
  readonly title: string;
  readonly openedAt: EpochMs;
  readonly alertId: string;
}

/** The alert that opened each incident; not those that a person opened. */
const PAST = `select i.id, i.projectId, i.number, i.title, i.openedAt,
  (select m.alertId from incident_alerts m where m.incidentId = i.id order by m.addedAt, m.alertId limit 1) as alertId
  from json_each(?) p cross join incidents i on i.projectId = p.value
    and i.state in ('open', 'acknowledged', 'resolved') and i.openedAt >= ?
  where i.direct is null order by i.openedAt desc, i.id limit ?`;

/** Alerts that have ended since, to know which ones fired at a time. */
const ENDED = `select id from alerts where projectId = ? and state = 'resolved' and resolvedAt >= ? order by resolvedAt limit 5000`;

interface Asked {
  readonly caller: PermissionHolder;
  readonly reading: ReadRequest;
  readonly compared: Compared;
  readonly state: PlannedState;
  readonly forMs: number;
}

/** @param asked with the state that the plan would leave */
export async function historyOf(context: ConfigurationContext, asked: Asked): Promise<History> {
  const { caller, reading, compared, state, forMs } = asked;
  const from = context.clock.now() - forMs;
  const until = context.clock.elapsed() + LIMIT_MS;
  const mayRead = (id: string): boolean => context.projects.has(caller, id, "events:read");
  const readable = [...state.alerting.keys()].filter(mayRead);
  const changed = rulesOf(reading, compared).filter(({ projectId }) => projectId !== null && mayRead(projectId));
  const hidden = [...new Set(compared.steps.flatMap(({ projectId }) => projectId ?? []))].filter(
    (id) => reading.slugs.has(id) && !reading.planned.projects.has(reading.slugs.get(id) ?? "") && !mayRead(id),
  );
  const sides = await forecastSides(context, reading, compared, state);
  const past = await rowsOf<Past>(context.db.scan, PAST, [
    JSON.stringify(readable),
    context.steadyClock.fromWall(from),
    MAX_INCIDENTS + 1,
  ]);
  const found = await compareAll(context, reading, sides, { past: past.slice(0, MAX_INCIDENTS), until, from });
  const rules = await compareRules(context, reading, changed, { from, until });
  return {
    from: toRfc3339(from),
    incidents: found.seen,
    ...{ differing: found.differing.slice(0, MAX_LISTED), differences: found.differing.length },
    rules: rules.compared,
    isCut: past.length > found.seen || rules.isCut,
    notReadable: hidden.map((id) => reading.slugs.get(id) ?? id),
  };
}

interface Range {
  readonly past: readonly Past[];
  readonly from: EpochMs;
  readonly until: number;
}

async function compareAll(
  context: ConfigurationContext,
  reading: ReadRequest,
  sides: ForecastSides,
  { past, from, until }: Range,
) {
  const alerts = new Map(
    (await context.alerts.read(past.map(({ alertId }) => alertId))).map((each) => [each.id, each]),
  );
  const firingAt = await firingLookup(context, sides, { past, from });
  const turns = new LoopTurns();
  const found: { readonly row: Past; readonly before: ForecastOutcome; readonly after: ForecastOutcome }[] = [];
  let seen = 0;
  for (const row of past) {
    if (context.clock.elapsed() > until) break;
    await turns.pause();
    currentCaller().charge?.({ steps: STEPS_PER_INCIDENT });
    seen++;
    const alert = alerts.get(row.alertId);
    // The server itself reports a source that fell silent: no route takes it.
    if (!alert || alert.source === "prism") continue;
    const firing = firingAt(row.openedAt);
    const isMasked = !context.projects.has(reading.caller, row.projectId, "policies:write");
    const before = await outcomeOf(sides.before(firing), alert, row.openedAt, isMasked);
    const after = await outcomeOf(sides.after(firing), alert, row.openedAt, isMasked);
    if (outcomeChanges(before, after).length > 0) found.push({ row, before, after });
  }
  const people = found.flatMap(({ before, after }) => [...before.pages, ...after.pages].flatMap(({ users }) => users));
  const nameOf = await namesOf(context, reading, people);
  const differing = found.map(({ row, before, after }) => ({
    project: reading.slugs.get(row.projectId) ?? row.projectId,
    ...{ id: row.id, number: row.number, title: row.title, at: toRfc3339(row.openedAt) },
    ...{ changes: outcomeChanges(before, after) },
    ...{ before: outcomeView(before, nameOf), after: outcomeView(after, nameOf) },
  }));
  return { seen, differing };
}

/** Usernames, also of people that the same plan makes. */
export async function namesOf(
  { db }: ConfigurationContext,
  { planned }: ReadRequest,
  ids: readonly string[],
): Promise<(id: string) => string> {
  const names = await userNames(db.scan, [...new Set(ids)]);
  const made = new Map([...planned.people].map(([name, id]) => [id, name]));
  return (id) => names.get(id)?.username ?? made.get(id) ?? id;
}

function outcomeView({ policies, withheld, pages }: ForecastOutcome, nameOf: (id: string) => string): OutcomeView {
  const [first, ...later] = withheld.length > 0 ? [] : pages;
  const namesIn = (users: readonly string[]) => users.map(nameOf).sort();
  const others = new Set(later.flatMap(({ users }) => users));
  return {
    ...{ policies: [...policies], withheld: [...withheld], people: namesIn(first?.users ?? []) },
    afterMs: first?.afterMs ?? null,
    later: namesIn([...others].filter((id) => !first?.users.includes(id))),
  };
}

/** The alerts that fired at a time, for rules that inhibit; without one on either side nobody asks. */
async function firingLookup(
  { alerts, db }: ConfigurationContext,
  sides: ForecastSides,
  { past, from }: Pick<Range, "past" | "from">,
) {
  const none = () => [];
  const all = new Map<string, readonly AlertView[]>();
  for (const id of new Set(past.map(({ projectId }) => projectId))) {
    const rules = [sides.before(none), sides.after(none)].map(({ policies }) => policies.routingOf(id).inhibitRules);
    if (rules.every(({ length }) => length === 0)) continue;
    const ended = await rowsOf<{ readonly id: string }>(db.scan, ENDED, [id, from]);
    const known = await alerts.read(ended.map((row) => row.id));
    all.set(id, [...known, ...alerts.list(id)]);
  }
  return (at: EpochMs) => (projectId: string) =>
    (all.get(projectId) ?? []).filter(
      ({ startsAt, resolvedAt }) => startsAt <= at && (resolvedAt === null || resolvedAt > at),
    );
}

/** Members of a rule that decide whether it notifies. */
const DECIDING = /^(condition|suppression|dedupe|cooldown|threshold|absence|alert|active|target)/;

/** Changed rules of projects; those for all projects have no events of their own. */
function rulesOf({ planned }: ReadRequest, { steps }: Compared): readonly Step[] {
  const made = new Set(planned.projects.values());
  return steps.filter(
    ({ kind, projectId, members, stored, op }) =>
      kind.kind === "rules" &&
      !made.has(projectId ?? "") &&
      (stored === null || op === "delete" || members.some(({ path }) => DECIDING.test(path))),
  );
}

async function compareRules(
  context: ConfigurationContext,
  reading: ReadRequest,
  steps: readonly Step[],
  { from, until }: { readonly from: EpochMs; readonly until: number },
): Promise<{ readonly compared: History["rules"]; readonly isCut: boolean }> {
  const compared: History["rules"] = [];
  for (const step of steps.slice(0, MAX_RULES)) {
    const { projectId } = step;
    const count = (spec: Spec | undefined) =>
      countRule(context, { projectId: projectId ?? "", spec, from, leftMs: until - context.clock.elapsed() });
    const before = await count(step.stored?.spec);
    const after = before && (await count(step.wanted ? step.spec : undefined));
    if (!after) return { compared, isCut: true };
    currentCaller().charge?.({ steps: Math.max(before.scanned, after.scanned) * 2 * STEPS_PER_EVENT });
    const project = reading.slugs.get(step.projectId ?? "") ?? "";
    if (before.matched !== after.matched || before.fired !== after.fired)
      compared.push({ project, name: step.name, before: countsOf(before), after: countsOf(after) });
  }
  return { compared, isCut: steps.length > MAX_RULES };
}

function countsOf({ matched, fired }: { readonly matched: number; readonly fired: number }) {
  return { matched, fired };
}

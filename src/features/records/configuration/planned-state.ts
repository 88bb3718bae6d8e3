import { OPERATOR } from "../../../core/caller.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { ConfigKind } from "../../../module/config-kind.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import {
  type AlertView,
  type ForecastParts,
  type PlannedAlerting,
  PlannedPolicies,
  readPlannedAlerting,
  type Silences,
  Withholding,
} from "../../alerts/index.ts";
import { onCallWith, presentRosterIn, type Roster, type ScheduleRows, scheduleRowsOf } from "../../oncall/index.ts";
import type { Compared } from "./compare.ts";
import type { ConfigurationContext, ReadRequest } from "./reading.ts";

/* What decides who is paged, as it is and as a plan would leave it: read in the plan's transaction, looked at after it. */

type Rosters = ReadonlyMap<string, { readonly projectId: string; readonly roster: Roster }>;

export interface PlannedState {
  /** Of the projects whose policies, routes, schedules or members change. */
  readonly alerting: ReadonlyMap<string, PlannedAlerting>;
  /** Of the schedules that change. */
  readonly rosters: Rosters;
}

/** Kinds that decide who is paged. */
const PAGING: ReadonlySet<string> = new Set(["policies", "routes", "oncall"]);
/** A plan without any of them. */
export const NOTHING_PAGES: PlannedState = { alerting: new Map(), rosters: new Map() };
const NOBODY: Roster = { layers: [], substitutions: [] };

/**
 * The part of a plan that is run for those who may not apply it, without hosts and secrets: its problems are not
 * theirs, and it is rolled back.
 */
export function pagingPart(reading: ReadRequest, compared: Compared) {
  const kinds = new Map(compared.steps.map(({ kind }) => [kind, kind.kind === "routes" ? kind : unprepared(kind)]));
  const made = new Set(reading.planned.projects.values());
  const steps = compared.steps
    .filter(({ kind, projectId }) => PAGING.has(kind.kind) && !made.has(projectId ?? ""))
    .map((step) => ({ ...step, kind: kinds.get(step.kind) ?? step.kind }));
  return { reading: { ...reading, caller: OPERATOR, problems: [] }, compared: { ...compared, steps } };
}

function unprepared({ prepare: _, ...kind }: ConfigKind): ConfigKind {
  return kind;
}

/**
 * In the transaction of the plan: no more than these rows, because others wait for it.
 * @param schedules those that change, as the plan leaves them
 */
export async function readPlannedState(
  trx: Trx,
  reading: ReadRequest,
  compared: Compared,
  schedules: ReadonlyMap<string, ScheduleRows>,
): Promise<PlannedState> {
  const made = new Set(reading.planned.projects.values());
  const steps = compared.steps.filter(({ kind: { kind } }) => PAGING.has(kind) || kind === "members");
  const projects = new Set(steps.flatMap(({ projectId }) => projectId ?? []));
  const alerting = new Map<string, PlannedAlerting>();
  for (const id of projects) if (!made.has(id)) alerting.set(id, await readPlannedAlerting(trx, id));
  return { alerting, rosters: rostersOf(schedules, compared) };
}

/** The schedules that an apply changes, as they are stored. */
export function changedSchedules(db: ReadDb | Trx, { steps }: Compared): Promise<ReadonlyMap<string, ScheduleRows>> {
  const ids = steps.flatMap(({ kind, id }) => (kind.kind === "oncall" ? id : []));
  return ids.length === 0 ? Promise.resolve(new Map()) : scheduleRowsOf(db, ids);
}

/** Those that are gone, or are not there yet, have nobody. */
function rostersOf(schedules: ReadonlyMap<string, ScheduleRows>, { steps }: Compared): Rosters {
  const rosters = new Map<string, { projectId: string; roster: Roster }>();
  for (const { kind, id, projectId } of steps) {
    if (kind.kind !== "oncall" || projectId === null) continue;
    const rows = schedules.get(id);
    rosters.set(id, { projectId, roster: rows ? presentRosterIn(rows) : NOBODY });
  }
  return rosters;
}

/** Alerts that fire at an instant, in place of those of now. */
export type FiringAt = (projectId: string) => readonly AlertView[];

/** The parts of forecasts: those of now, and those that the plan leaves. */
export interface ForecastSides {
  before(firing: FiringAt): ForecastParts;
  /** @param silences default: none, as they are the same on both sides */
  after(firing: FiringAt, silences?: Pick<Silences, "silencing">): ForecastParts;
}

export async function forecastSides(
  context: ConfigurationContext,
  reading: ReadRequest,
  compared: Compared,
  state: PlannedState,
): Promise<ForecastSides> {
  const { steadyClock: clock, alerts, incidents: pages, reachable, db, reader } = context;
  const planned = new PlannedPolicies(reader, state.alerting);
  const stored = rostersOf(await changedSchedules(db.scan, compared), compared);
  const sideOf = (
    policies: ForecastParts["policies"],
    { users, projects }: ReadRequest["access"],
    rosters: Rosters,
  ) => {
    const onCall = onCallWith(users, rosters);
    const onCallAt = (from: ReadDb | Trx, id: string, at: EpochMs) => onCall(from, id, clock.toWall(at));
    const same = { clock, alerts, policies, users, projects, pages, reachable, onCall: onCallAt, db: db.scan };
    return (firing: FiringAt, silences?: Pick<Silences, "silencing">): ForecastParts => {
      const withholding = new Withholding({
        ...{ clock, alertsOf: firing, reconsider: () => undefined },
        routingOf: (id) => policies.routingOf(id),
        silencing: (...parameters) => silences?.silencing(...parameters) ?? [],
      });
      return { ...same, waysWork: true, withheldBy: (...parameters) => withholding.withheldBy(...parameters) };
    };
  };
  return { before: sideOf(context.policies, context, stored), after: sideOf(planned, reading.access, state.rosters) };
}

import { currentCaller, type PermissionHolder } from "../../../core/caller.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { DAY_MS, type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { rowsOf } from "../../../store/database.ts";
import type { LabelRecord } from "../model/labels.ts";
import type { CompiledRouting, RouteSettings } from "./routing.ts";
import type { PolicyContext } from "./service.ts";
import type { RouteTraffic } from "./traffic-view.ts";

/* What today's routes would have matched of the alerts of the last days: counted when it is asked for. */

const DAYS = 7;
/** Of those that fire, and of those that ended in these days. */
const MAX_ALERTS = 5000;
const LIMIT_MS = 5000;
/** Work of one label set, and of each route that it may be asked of. */
const STEPS_PER_SET = 200;
const STEPS_PER_ROUTE = 20;

/** Alerts with the same labels. */
interface LabelSet {
  readonly labels: string;
  readonly alerts: number;
  /** How many of them fire. */
  readonly firing: number;
  readonly lastAt: EpochMs;
}

/** Pending alerts have no route, and those of the server itself are given to one. The first state is that of the index. */
const FIRING = `select fingerprint, labels, startsAt, 1 as isFiring from alerts
  where projectId = ? and state <> 'resolved' and state = 'firing' and source <> 'prism' limit ${MAX_ALERTS + 1}`;
const ENDED = `select fingerprint, labels, startsAt, 0 as isFiring from alerts
  where projectId = ? and state = 'resolved' and resolvedAt >= ? and source <> 'prism'
  order by resolvedAt desc limit ${MAX_ALERTS + 1}`;
const SETS = `select labels, count(*) as alerts, sum(isFiring) as firing, max(startsAt) as lastAt
  from (select * from (${FIRING}) union all select * from (${ENDED})) group by fingerprint order by lastAt desc`;

interface Count {
  matched: number;
  taken: number;
  lastAt: EpochMs | null;
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function routeTraffic(
  { db, clock, projects, policies }: PolicyContext,
  principal: PermissionHolder,
  ref: string | undefined,
): Promise<RouteTraffic> {
  const projectId = projects.requireOrDefault(principal, ref, "events:read");
  const from = clock.now() - DAYS * DAY_MS;
  const until = clock.elapsed() + LIMIT_MS;
  const routing = policies.routingOf(projectId);
  const sets = await rowsOf<LabelSet>(db.scan, SETS, [projectId, projectId, from]);
  const counts = new Map(routing.routes.map((each): [RouteSettings, Count] => [each, emptyCount()]));
  const parents = parentsIn(routing);
  const turns = new LoopTurns();
  let alerts = 0;
  for (const set of sets) {
    if (clock.elapsed() > until) break;
    await turns.pause();
    currentCaller().charge?.({ steps: STEPS_PER_SET + STEPS_PER_ROUTE * routing.routes.length });
    alerts += set.alerts;
    addSet(counts, parents, routing, set);
  }
  const total = sets.reduce((sum, set) => sum + set.alerts, 0);
  const firing = sets.reduce((sum, set) => sum + set.firing, 0);
  return {
    projectId,
    version: routing.version,
    from: toRfc3339(from),
    alerts,
    isCut: alerts < total || Math.max(firing, total - firing) > MAX_ALERTS,
    routes: routing.routes.map((each) => {
      const { matched, taken, lastAt } = counts.get(each) ?? emptyCount();
      return { path: [...each.path], policy: each.policy, matched, taken, lastAt: toRfc3339OrNull(lastAt) };
    }),
  };
}

function emptyCount(): Count {
  return { matched: 0, taken: 0, lastAt: null };
}

function addSet(
  counts: ReadonlyMap<RouteSettings, Count>,
  parents: ReadonlyMap<RouteSettings, RouteSettings>,
  { match, routes: [root] }: CompiledRouting,
  { labels, alerts, lastAt }: LabelSet,
): void {
  const reached = new Set<RouteSettings>();
  const takers = new Set<RouteSettings>();
  for (const { settings } of match(JSON.parse(labels) as LabelRecord)) {
    // The built-in routing makes settings of the root for alerts that name policies.
    const taker = counts.has(settings) ? settings : root;
    if (taker) takers.add(taker);
    for (let each = taker; each; each = parents.get(each)) reached.add(each);
  }
  for (const each of reached) {
    const count = counts.get(each);
    if (!count) continue;
    count.matched += alerts;
    count.taken += takers.has(each) ? alerts : 0;
    count.lastAt = Math.max(count.lastAt ?? lastAt, lastAt);
  }
}

/** By the order of the list: parents first. */
function parentsIn({ routes }: CompiledRouting): ReadonlyMap<RouteSettings, RouteSettings> {
  const parents = new Map<RouteSettings, RouteSettings>();
  const trail: RouteSettings[] = [];
  for (const each of routes) {
    trail.length = each.path.length - 1;
    const parent = trail.at(-1);
    if (parent) parents.set(each, parent);
    trail.push(each);
  }
  return parents;
}

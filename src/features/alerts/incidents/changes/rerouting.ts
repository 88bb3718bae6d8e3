import { AsyncResource } from "node:async_hooks";
import { setImmediate } from "node:timers/promises";
import { type ReadDb, rowsOf, type Trx } from "../../../../store/database.ts";
import type { AlertView, JoinIncidents, Transition } from "../../types.ts";
import type { IncidentParts } from "../context.ts";
import type { IncidentRow } from "../incident.ts";

/*
 * After a change of the routing document: alerts that fire in an incident and go to another policy, or another group,
 * move there, as alerts with other labels do. Where only the path in the tree differs the incident stays as it is.
 */

/** That of a project without a document of its own. */
const BUILT_IN_VERSION = 0;
/** Incidents of one transaction. */
const AT_ONCE = 20;
/** Alerts between two breaths of the event loop. */
const SLICE = 200;

/** Moves the alerts of projects whose routes are others now. */
export class Rerouting {
  readonly #parts: IncidentParts;
  readonly #join: JoinIncidents;
  /** The version of the document by which the alerts of a project were routed last. */
  readonly #versions = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;
  /** A commit that changes the document calls it from inside its transaction. */
  readonly #rerouteOutside = AsyncResource.bind((projectId: string) => this.#reroute(projectId));

  constructor(parts: IncidentParts, join: JoinIncidents) {
    this.#parts = parts;
    this.#join = join;
  }

  /** Its policies or its document may be others, or have become others before this process began. */
  changed(projectId: string): void {
    const { version } = this.#parts.policies.routingOf(projectId);
    if (this.#isStopped || this.#versions.get(projectId) === version) return;
    this.#versions.set(projectId, version);
    // Nobody has edited it.
    if (version === BUILT_IN_VERSION) return;
    const run = this.#rerouteOutside(projectId).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** What is left is done at the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #reroute(projectId: string): Promise<void> {
    const { db, log } = this.#parts;
    try {
      const text =
        "select id from incidents where projectId = ? and state <> 'resolved' and direct is null order by id";
      const rows = await rowsOf<Pick<IncidentRow, "id">>(db.scan, text, [projectId]);
      for (let at = 0; at < rows.length && !this.#isStopped; at += AT_ONCE)
        await this.#rerouteSome(rows.slice(at, at + AT_ONCE).map(({ id }) => id));
    } catch (error) {
      // The next change tries again.
      this.#versions.delete(projectId);
      log.error({ err: error, projectId }, "cannot move alerts to their new routes");
    }
  }

  /** Without a write if none has moved. */
  async #rerouteSome(ids: readonly string[]): Promise<void> {
    const { db, clock } = this.#parts;
    if ((await movedIn(this.#parts, db.scan, ids)).length === 0) return;
    await db.write(async (trx) => {
      const moved = await movedIn(this.#parts, trx, ids);
      const change = { kind: "changed", reason: "input", isAtOnce: false } as const;
      const transitions = moved.map((alert): Transition => ({ ...change, alert, before: alert }));
      if (transitions.length > 0) await this.#join(trx, transitions, clock.now());
    });
  }
}

interface Row extends Pick<IncidentRow, "policyId" | "groupLabels" | "route"> {
  readonly alertId: string;
}

const MEMBERS = `select i.policyId, i.groupLabels, i.route, m.alertId from json_each(?) e cross join incidents i on i.id = e.value
  cross join incident_alerts m on m.incidentId = i.id and m.leftAt is null
  where i.state <> 'resolved'`;

/** The firing alerts of these incidents that no route leads there any more. */
async function movedIn(
  { alerts, policies }: IncidentParts,
  db: ReadDb | Trx,
  ids: readonly string[],
): Promise<AlertView[]> {
  const moved = new Map<string, AlertView>();
  let count = 0;
  for (const { alertId, policyId, groupLabels, route } of await rowsOf<Row>(db, MEMBERS, [JSON.stringify(ids)])) {
    count += 1;
    if (count % SLICE === 0) await setImmediate();
    const alert = alerts().find(alertId);
    if (alert?.state !== "firing" || alert.source === "prism" || "silentSource" in (JSON.parse(route) as object))
      continue;
    if (!staysIn(policies, alert, { policyId, groupLabels })) moved.set(alertId, alert);
  }
  return [...moved.values()];
}

/** Whether a route leads an alert to the policy and group of an incident. */
export function staysIn(
  policies: IncidentParts["policies"],
  { projectId, labels }: Pick<AlertView, "projectId" | "labels">,
  { policyId, groupLabels }: Pick<IncidentRow, "policyId" | "groupLabels">,
): boolean {
  return policies
    .routingOf(projectId)
    .match(labels)
    .some(
      (match) =>
        policies.named(projectId, match.settings.policy).id === policyId &&
        JSON.stringify(match.groupLabels) === groupLabels,
    );
}

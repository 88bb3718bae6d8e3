import { sql } from "kysely";
import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { doc, named, object, selfChanging } from "../../../http/api/shapes.ts";
import { requireAccount } from "../../../http/server/access.ts";
import { type IncidentsContext, type WithheldParts, withheldOf } from "./requests.ts";
import { attentionRank, isUnresolved } from "./view.ts";

/* How many incidents need people: the one source of the figures of overview, list and menu. */

/** Incidents that are looked at, in the order in which they need people. */
const MAX_COUNTED = 1000;

export const CountIncidents = object({
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug; default: all projects of the caller")),
});
export type CountIncidents = v.InferOutput<typeof CountIncidents>;

const count = (text: string) => selfChanging(doc(v.number(), text));

export const IncidentCounts = named(
  "IncidentCounts",
  "How many unresolved incidents there are; each is counted as one of `waiting`, `quiet`, `acknowledged` and `snoozed`",
  v.object({
    waiting: count("Open, and wait for an acknowledgement"),
    quiet: count("Open, but all firing alerts are silenced, inhibited or muted, or only webhooks are called"),
    acknowledged: count("Acknowledged, and not snoozed"),
    snoozed: count("Snoozed"),
    mine: doc(v.nullable(count("Unresolved ones that the caller was notified of")), "Null for a project's API key"),
    mineElsewhere: doc(
      v.nullable(count("Those of `mine` in projects that the caller does not read; no other number counts them")),
      "Null for a project's API key",
    ),
    isCut: doc(v.boolean(), `There are more than ${MAX_COUNTED}; the rest is not counted`),
  }),
);

interface Counts {
  readonly waiting: number;
  readonly quiet: number;
  readonly acknowledged: number;
  readonly snoozed: number;
  readonly isCut: boolean;
}

/** Unresolved incidents by what they need. @param projectIds null: all projects */
export async function countUnresolved(parts: WithheldParts, projectIds: readonly string[] | null): Promise<Counts> {
  const counts = { waiting: 0, quiet: 0, acknowledged: 0, snoozed: 0 };
  if (projectIds?.length === 0) return { ...counts, isCut: false };
  let query = parts.db.scan
    .selectFrom("incidents")
    .select(["id", "state", "firing", "snoozedUntil", "assigned", "forPeople"])
    .where(isUnresolved);
  // By the index of projects all unresolved ones would be sorted.
  if (projectIds !== null) query = query.where(sql<string>`+projectId`, "in", projectIds);
  const rows = await query
    .orderBy(attentionRank)
    .limit(MAX_COUNTED + 1)
    .execute();
  const counted = rows.slice(0, MAX_COUNTED);
  const open = counted.filter(({ state, snoozedUntil }) => state === "open" && snoozedUntil === null);
  const withheld = await withheldOf(parts, open);
  for (const { id, state, snoozedUntil, assigned, forPeople } of counted) {
    const notifies = assigned !== null || forPeople === 1;
    if (snoozedUntil !== null) counts.snoozed += 1;
    else if (state === "acknowledged") counts.acknowledged += 1;
    else if (notifies && !withheld.has(id)) counts.waiting += 1;
    else counts.quiet += 1;
  }
  return { ...counts, isCut: rows.length > MAX_COUNTED };
}

/** @throws PROJECT_NOT_FOUND */
export async function countIncidents(context: IncidentsContext, principal: Principal, { projectId }: CountIncidents) {
  const { projects } = context;
  const counts = await countUnresolved(context, projects.readable(principal, "events:read", projectId));
  return { ...counts, ...(await countOwn(context, principal, projectId)) };
}

/** Those that `GET /incidents?mine=true` lists. */
async function countOwn({ db, projects }: IncidentsContext, principal: Principal, projectId: string | undefined) {
  if (principal.kind === "apiKey") return { mine: null, mineElsewhere: null };
  const { userId } = requireAccount(principal);
  const projectIds =
    projectId === undefined
      ? projects.reaching(principal, "events:read")
      : projects.readable(principal, "events:read", projectId);
  let query = db.scan
    .selectFrom("incidents")
    .select("projectId")
    .where(isUnresolved)
    .where(sql<boolean>`exists (select 1 from notifications n join notification_recipients r
      on r.notificationId = n.id where n.incidentId = incidents.id and r.userId = ${userId})`);
  if (projectIds !== null) query = query.where(sql<string>`+projectId`, "in", projectIds);
  const rows = await query.limit(MAX_COUNTED).execute();
  const readable = projects.readable(principal, "events:read");
  const elsewhere = readable === null ? [] : rows.filter((row) => !readable.includes(row.projectId));
  return { mine: rows.length, mineElsewhere: elsewhere.length };
}

import * as v from "valibot";
import { type Finding, PAGING_CODES, type PagingCode } from "../../../core/finding.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { doc } from "../../../http/api/shapes.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import type { IncidentParts } from "../incidents/context.ts";
import { candidatesOf, reachableOf } from "../incidents/notices.ts";
import { channelOf } from "../policies/policies.ts";
import { BUILT_IN_POLICY, type PolicyDefinition, type PolicyStep } from "../policies/policy.ts";

/* Findings of what would keep a page from arriving, before one is sent: docs/alerts.md, "Warnings". */

/** A gap this near is warned of, unless the step has another target meanwhile; in a plan also later ones. */
const GAP_AHEAD_MS = DAY_MS;
const GAP_BACK_MS = 30 * DAY_MS;
const MAX_RULES = 1000;

/** Its subject is the same for as long as it is about the same thing. */
export interface PagingWarning extends Finding {
  readonly code: PagingCode;
  readonly subject: string;
  /** Null: a schedule or a rule has it, no policy. */
  readonly policyId: string | null;
}

export const PagingWarnings = doc(
  v.array(v.object({ code: v.picklist(PAGING_CODES), message: v.string() })),
  "A reason why pages would not arrive; nothing is refused because of it",
);

type Db = ReadDb | Trx;

interface NamedPerson {
  readonly userId: string;
  readonly scheduleId: string;
  /** Its name. */
  readonly schedule: string;
  /** `a shift` */
  readonly in: string;
}

type Reached = ReadonlySet<string>;

/** The incidents, as the search uses them. */
export interface WarningParts
  extends Pick<IncidentParts, "policies" | "users" | "projects" | "onCall" | "reachable" | "pages"> {
  readonly clock: { now(): EpochMs };
  /** The times without anyone on call on a schedule. */
  readonly gapsOf: (
    db: Db,
    scheduleId: string,
    from: EpochMs,
    to: EpochMs,
  ) => Promise<readonly { readonly start: EpochMs; readonly end: EpochMs }[]>;
  /** Who of them has a way for an urgency; default: asked for each step. */
  readonly withWay?: (db: Db, projectId: string, users: readonly string[], urgency: Urgency) => Promise<Reached>;
  /** Whom the on-call schedules of a project name from an instant on. */
  readonly namedOnCall: (db: Db, projectId: string, now: EpochMs) => Promise<readonly NamedPerson[]>;
}

/** A policy as it is, or is about to be. */
export interface WarnedPolicy {
  readonly id: string;
  readonly projectId: string;
  readonly definition: PolicyDefinition;
}

/**
 * The warnings of all policies of a project (without one of its own, those of the built-in policy),
 * and people without an active account whom its schedules and rules name.
 */
export async function projectWarnings(parts: WarningParts, db: Db, projectId: string): Promise<PagingWarning[]> {
  const found: PagingWarning[] = [];
  for (const ref of parts.policies.of(projectId).values()) {
    const definition = parts.policies.definitionOf(ref);
    found.push(...(await policyWarnings(parts, db, { id: ref.id, projectId, definition })));
  }
  found.push(...(await scheduleWarnings(parts, db, projectId)), ...(await ruleWarnings(parts, db, projectId)));
  return oncePerSubject(found);
}

/** Several steps may name one person. */
function oncePerSubject(found: readonly PagingWarning[]): PagingWarning[] {
  return [...new Map(found.map((warning) => [warning.subject, warning])).values()];
}

async function scheduleWarnings(parts: WarningParts, db: Db, projectId: string): Promise<PagingWarning[]> {
  const named = await parts.namedOnCall(db, projectId, parts.clock.now());
  const ids = named.map(({ userId }) => userId);
  const absent = new Map(parts.users.absent(ids, projectId).map(({ id, text }) => [id, text]));
  return named.flatMap(({ userId, scheduleId, schedule, in: place }) => {
    const text = absent.get(userId);
    return text === undefined
      ? []
      : [
          inactive(
            projectId,
            null,
            `${scheduleId} ${userId}`,
            `The on-call schedule ${schedule} names ${text}, in ${place}`,
          ),
        ];
  });
}

/** Rules that notify people by their names; rules of all projects count in the default one. */
async function ruleWarnings({ users, projects }: WarningParts, db: Db, projectId: string): Promise<PagingWarning[]> {
  const rules = await db
    .selectFrom("rules")
    .select(["id", "name", "projectId", "targetUsers"])
    .where((e) =>
      projectId === projects.defaultId
        ? e.or([e("projectId", "=", projectId), e("projectId", "is", null)])
        : e("projectId", "=", projectId),
    )
    .where("active", "=", 1)
    .where("deletedAt", "is", null)
    .where("targetUsers", "<>", "[]")
    .orderBy("id")
    .limit(MAX_RULES)
    .execute();
  return rules.flatMap(({ id, name, projectId: of, targetUsers }) =>
    users
      .absent(JSON.parse(targetUsers) as string[], of)
      .map((person) => inactive(projectId, null, `${id} ${person.id}`, `The rule ${name} names ${person.text}`)),
  );
}

function inactive(projectId: string, policyId: string | null, about: string, text: string): PagingWarning {
  return pagingWarning(projectId, policyId, "person-inactive", about, text);
}

function pagingWarning(
  projectId: string,
  policyId: string | null,
  code: PagingCode,
  about: string,
  text: string,
): PagingWarning {
  return { code, severity: "warning", text, policyId, subject: `${projectId} ${code} ${about}` };
}

/** The warnings of one policy. Nothing is stored. @param aheadMs how near gaps are */
export async function policyWarnings(
  parts: WarningParts,
  db: Db,
  policy: WarnedPolicy,
  aheadMs = GAP_AHEAD_MS,
): Promise<PagingWarning[]> {
  const { definition, id, projectId } = policy;
  const { name, steps, opensIncidents } = definition;
  if (!opensIncidents) return [];
  const warn: Warn = (...found) => pagingWarning(projectId, id, ...found);
  const reaching = steps.filter(({ type }) => type === "notify" || type === "channel" || type === "webhook");
  if (reaching.length === 0) return [warn("no-steps", id, `The policy ${name} has no step that reaches anyone`)];
  const found: PagingWarning[] = [];
  for (const step of reaching) {
    const channel = channelOf(step);
    if (channel !== undefined) found.push(...(await channelWarnings(db, name, channel, warn)));
    if (step.type !== "notify") continue;
    for (const person of parts.users.absent(step.users, projectId))
      found.push(inactive(projectId, id, `${id} ${person.id}`, `The policy ${name} names ${person.text}`));
    found.push(...(await peopleWarnings(parts, db, policy, step, warn)));
    found.push(...(await membersWarnings(parts, db, policy, step, warn)));
    found.push(...(await gapWarnings(parts, db, { ...policy, aheadMs }, step, warn)));
  }
  const isOwn = definition !== BUILT_IN_POLICY;
  if (isOwn && !parts.pages.hasWays && steps.some(({ type }) => type === "notify") && !steps.some(isOutside))
    found.push(
      warn(
        "no-outside-way",
        "server",
        "No way outside of the app is configured on this server: people read incidents in the app only " +
          "(an app of ntfy or Gotify with this server is the app), also those to whom incidents fall back",
      ),
    );
  return oncePerSubject(found);
}

function isOutside({ type }: PolicyStep): boolean {
  return type === "channel" || type === "webhook";
}

type Warn = (code: PagingCode, about: string, text: string) => PagingWarning;

async function channelWarnings(db: Db, policy: string, id: string, warn: Warn): Promise<PagingWarning[]> {
  const row = await db
    .selectFrom("channels")
    .select(["name", "active", "acceptedAt"])
    .where("id", "=", id)
    .executeTakeFirst();
  if (!row) return [warn("channel-gone", id, `The policy ${policy} sends to a channel that is deleted`)];
  const { name, active, acceptedAt } = row;
  if (active === 0) return [warn("channel-disabled", id, `The policy ${policy} sends to ${name}, which is disabled`)];
  return acceptedAt === null ? [warn("channel-untested", id, untestedText(name))] : [];
}

function untestedText(name: string): string {
  return `The channel ${name} has accepted no message with its present settings: send a test (prism channels test)`;
}

type NotifyStep = Extract<PolicyStep, { type: "notify" }>;

/** People whom the step names, or who are on call now or next, without a way for this urgency. */
async function peopleWarnings(
  parts: WarningParts,
  db: Db,
  { projectId, definition }: WarnedPolicy,
  { users, schedules, urgency }: NotifyStep,
  warn: Warn,
): Promise<PagingWarning[]> {
  if (!parts.pages.hasWays) return [];
  const wanted = new Set(users);
  for (const { id } of schedules) {
    const { current, next } = await parts.onCall(db, id, parts.clock.now());
    for (const user of [...current, ...next]) wanted.add(user);
  }
  const active = parts.users.reachable([...wanted], projectId);
  const reached = await withWay(parts, db, projectId, active, urgency);
  const without = active.filter((id) => !reached.has(id));
  if (without.length === 0) return [];
  const rows = await db.selectFrom("users").select(["id", "name", "username"]).where("id", "in", without).execute();
  return rows.map(({ id, name, username }) =>
    warn(
      "person-without-way",
      `${id} ${urgency}`,
      `${noWayText(name || (username ?? id), urgency)} (${definition.name})`,
    ),
  );
}

export function withWay(
  parts: WarningParts,
  db: Db,
  projectId: string,
  users: readonly string[],
  urgency: Urgency,
): Promise<Reached> {
  return parts.withWay?.(db, projectId, users, urgency) ?? reachableOf(parts, db, { projectId }, users, urgency);
}

/** For a project that has only the built-in policy: whether no member has a way. */
async function membersWarnings(
  parts: WarningParts,
  db: Db,
  { projectId, definition }: WarnedPolicy,
  step: NotifyStep,
  warn: Warn,
): Promise<PagingWarning[]> {
  const isOnly = definition === BUILT_IN_POLICY && parts.policies.of(projectId).size === 1;
  if (!isOnly || !parts.pages.hasWays) return [];
  const { users } = await candidatesOf(parts, db, projectId, step, parts.clock.now());
  if ((await reachableOf(parts, db, { projectId }, users, step.urgency)).size > 0) return [];
  const text = `No member of the project has a way ${takes(step.urgency)} (${definition.name})`;
  return [warn("members-without-way", step.urgency, text)];
}

export function noWayText(name: string, urgency: Urgency): string {
  return `${name} has no way ${takes(urgency)}`;
}

function takes(urgency: Urgency): string {
  return `that takes notices of incidents with ${urgency} urgency outside of the app`;
}

/** Gaps of the step's schedules that start within a day, and that no other target of the step covers. */
async function gapWarnings(
  parts: WarningParts,
  db: Db,
  { projectId, aheadMs }: WarnedPolicy & { readonly aheadMs: number },
  step: NotifyStep,
  warn: Warn,
): Promise<PagingWarning[]> {
  const found: PagingWarning[] = [];
  const now = parts.clock.now();
  for (const { id } of step.schedules) {
    const row = await db
      .selectFrom("oncall_schedules")
      .select(["name", "reportsGaps"])
      .where("id", "=", id)
      .executeTakeFirst();
    if (!row) {
      found.push(warn("schedule-gone", id, "A policy notifies an on-call schedule that is deleted"));
      continue;
    }
    // From the past, so that a gap that has begun keeps its start.
    for (const { start, end } of await parts.gapsOf(db, id, now - GAP_BACK_MS, now + aheadMs)) {
      if (end <= now) continue;
      const { users } = await candidatesOf(parts, db, projectId, step, Math.max(now, start));
      if (users.length > 0) continue;
      const until = end >= now + aheadMs ? "" : ` until ${toRfc3339(end)}`;
      const from = start <= now ? "now" : `from ${toRfc3339(start)}`;
      const subject = `${id} ${start > now - GAP_BACK_MS ? start : "long"}`;
      const message = `No one is on call on ${row.name} ${from}${until}, and the step has no other target`;
      found.push(warn("schedule-gap", subject, message));
    }
  }
  return found;
}

import type { PlannedChange, PlannedWarning } from "../../../module/config-kind.ts";
import type { Trx } from "../../../store/database.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import { candidatesOf, reachableOf } from "../incidents/notices.ts";
import { policiesOf } from "../policies/manage.ts";
import { channelOf, storedRouting } from "../policies/policies.ts";
import { DEFAULT_POLICY, type PolicyDefinition, storedDefinition } from "../policies/policy.ts";
import { builtInRouting, compileRouting, policiesIn, type RoutingDocument } from "../policies/routing.ts";
import {
  noWayText,
  type PagingWarning,
  policyWarnings,
  type WarnedPolicy,
  type WarningParts,
  withWay,
} from "./warnings.ts";

/* What would reach no one once an apply of configuration files is done, as far as it changes it. */

const AHEAD_MS = 28 * 86_400_000;
/** Of the whole server, or of everything that is new. */
const NOT_OF_A_PLAN: ReadonlySet<string> = new Set(["no-outside-way", "members-without-way", "channel-untested"]);
const MAX_WARNINGS = 50;

/** In the transaction that has made the changes. @param parts that know what the same apply makes, too */
export async function plannedWarnings(
  given: WarningParts,
  trx: Trx,
  projectId: string,
  changes: readonly PlannedChange[],
): Promise<PlannedWarning[]> {
  const parts = remembering(given);
  const row = await storedRouting(trx, projectId);
  const document = row ? (JSON.parse(row.document) as RoutingDocument) : null;
  const policies = (await policiesOf(trx, projectId)).map(
    ({ id, definition }): WarnedPolicy => ({ id, projectId, definition: storedDefinition(definition) }),
  );
  const wanted = changes.filter(({ spec }) => spec !== null);
  const changed = new Set(changes.map(({ id }) => id));
  const changedPolicies = new Set(wanted.flatMap(({ kind, id }) => (kind === "policies" ? id : [])));
  const fallbacks = new Set(policies.map(({ definition }) => definition.fallback));
  const named = new Set(document ? policiesIn(document).map(({ name }) => name) : []);
  const routes = changes.find(({ kind }) => kind === "routes");
  const wasNamed = new Set(
    routes?.stored ? policiesIn(routes.stored.spec as RoutingDocument).map(({ name }) => name) : [],
  );
  const found: PlannedWarning[] = [];
  // Others wait for the transaction.
  const isEnough = () => found.length >= MAX_WARNINGS && oncePerCause(found).length >= MAX_WARNINGS;
  for (const policy of policies) {
    if (isEnough()) break;
    const { name } = policy.definition;
    // The policy `default` has the id of its project, as other objects have.
    const isChanged = changedPolicies.has(policy.id);
    const own = targetsOf(policy.definition).filter((id) => changed.has(id));
    const isNamed = routes !== undefined && named.has(name);
    if (isChanged || isNamed || own.length > 0)
      for (const warning of await policyWarnings(parts, trx, policy, AHEAD_MS)) {
        const isOwn = isChanged || own.some((id) => warning.subject.includes(id));
        if (NOT_OF_A_PLAN.has(warning.code) || !(isOwn || (isNamed && warning.code === "no-steps"))) continue;
        found.push({ kind: "policies", name, code: warning.code, message: warning.text, ...keyOf(warning) });
      }
    const isFallback = fallbacks.has(name);
    const isLeft = document !== null && !named.has(name) && (isChanged || wasNamed.has(name));
    if (isLeft && !isFallback && name !== DEFAULT_POLICY)
      found.push({ ...{ kind: "policies", name, code: "not-routed" }, message: `No route names the policy ${name}` });
  }
  if (isEnough()) return oncePerCause(found).slice(0, MAX_WARNINGS);
  found.push(...(await invited(parts, trx, projectId, wanted)));
  found.push(...(await withoutWay(parts, trx, projectId, wanted)));
  const dead: string[] = [];
  const opening = wanted.filter(({ alerts }) => alerts !== null);
  if (opening.length > 0)
    for (const policy of policies) if (await reachesNobody(parts, trx, policy)) dead.push(policy.definition.name);
  const names = new Set(policies.map(({ definition }) => definition.name));
  const routing = document ? compileRouting(document, 0) : builtInRouting((name) => names.has(name));
  for (const { kind, name, alerts } of dead.length === 0 ? [] : opening) {
    const reached = alerts?.isPart
      ? [...(named.size > 0 ? named : [DEFAULT_POLICY])]
      : routing.match(alerts?.labels ?? {}).map(({ settings }) => settings.policy);
    const [first] = reached;
    if (first === undefined || !reached.every((policy) => dead.includes(policy))) continue;
    found.push({
      kind,
      name,
      code: "alerts-reach-no-one",
      message: `Its alerts reach the policy ${first}, which pages no one`,
    });
  }
  return oncePerCause(found).slice(0, MAX_WARNINGS);
}

/** Many policies name the same schedules, and others wait for the transaction: each is read once. */
function remembering(parts: WarningParts): WarningParts {
  const now = parts.clock.now();
  const onCall = new Map<string, ReturnType<WarningParts["onCall"]>>();
  const gaps = new Map<string, ReturnType<WarningParts["gapsOf"]>>();
  const named = new Map<string, ReturnType<WarningParts["namedOnCall"]>>();
  return {
    ...{ ...parts, clock: { now: () => now } },
    onCall: (db, id, at) => onceIn(onCall, `${id} ${at}`, () => parts.onCall(db, id, at)),
    namedOnCall: (db, id, at) => onceIn(named, `${id} ${at}`, () => parts.namedOnCall(db, id, at)),
    gapsOf: (db, id, from, to) => onceIn(gaps, `${id} ${from} ${to}`, () => parts.gapsOf(db, id, from, to)),
    withWay: askingOnce(parts),
  };
}

/** Asks for each person and urgency once. */
function askingOnce(parts: WarningParts): NonNullable<WarningParts["withWay"]> {
  const known = new Map<string, boolean>();
  return async (db, projectId, users, urgency) => {
    const unknown = users.filter((id) => !known.has(`${urgency} ${id}`));
    const reached = await reachableOf(parts, db, { projectId }, unknown, urgency);
    for (const id of unknown) known.set(`${urgency} ${id}`, reached.has(id));
    return new Set(users.filter((id) => known.get(`${urgency} ${id}`)));
  };
}

function onceIn<T>(known: Map<string, T>, key: string, read: () => T): T {
  const found = known.get(key) ?? read();
  known.set(key, found);
  return found;
}

/** Schedules, channels and people that its steps name. */
function targetsOf({ steps }: PolicyDefinition): string[] {
  return steps.flatMap((step) =>
    step.type === "notify" ? [...step.users, ...step.schedules.map(({ id }) => id)] : (channelOf(step) ?? []),
  );
}

interface Found extends PlannedWarning {
  readonly cause?: string;
}

/** Of the gaps of a schedule, and of the urgencies of a person, the first is enough. */
function keyOf({ code, subject }: PagingWarning): { readonly cause: string } {
  const [, , about = ""] = subject.split(" ");
  return { cause: `${code} ${about}` };
}

function oncePerCause(found: readonly Found[]): PlannedWarning[] {
  const first = new Map<string, Found>();
  for (const each of found) {
    const key = `${each.kind} ${each.name} ${each.cause ?? `${each.code} ${each.message}`}`;
    if (!first.has(key)) first.set(key, each);
  }
  return [...first.values()].map(({ kind, name, code, message }) => ({ kind, name, code, message }));
}

/** People of changed steps and shifts who were invited, and are paged only once they have signed in. */
async function invited(
  parts: WarningParts,
  trx: Trx,
  projectId: string,
  changes: readonly PlannedChange[],
): Promise<PlannedWarning[]> {
  const isShifts = changes.some(({ kind }) => kind === "oncall");
  const named = isShifts ? await parts.namedOnCall(trx, projectId, parts.clock.now()) : [];
  const concerned = changes.map(({ kind, id, name, spec }) => {
    const steps = kind === "policies" ? ((spec ?? {}) as Pick<PolicyDefinition, "steps">).steps : [];
    const people = new Set([
      ...named.filter(({ scheduleId }) => kind === "oncall" && scheduleId === id).map(({ userId }) => userId),
      ...steps.flatMap((step) => (step.type === "notify" ? (step.users ?? []) : [])),
    ]);
    return { kind, name, people };
  });
  const all = new Set(concerned.flatMap(({ people }) => [...people]));
  if (all.size === 0) return [];
  const pending = await trx
    .selectFrom("users")
    .select(["id", "name", "username"])
    .where("id", "in", valuesOf([...all]))
    .where("status", "=", "pending")
    .orderBy("username")
    .execute();
  return concerned.flatMap(({ kind, name, people }) =>
    pending
      .filter(({ id }) => people.has(id))
      .map(({ name: called, username }) => {
        const message = `${called || username} is invited and has not signed in yet, so no page reaches them`;
        return { kind, name, code: "person-inactive", message };
      }),
  );
}

/** New owners, and people of changed shifts, whom no page reaches outside of the app. */
async function withoutWay(
  parts: WarningParts,
  trx: Trx,
  projectId: string,
  changes: readonly PlannedChange[],
): Promise<PlannedWarning[]> {
  if (!parts.pages.hasWays) return [];
  const found: PlannedWarning[] = [];
  const named = changes.some(({ kind }) => kind === "oncall")
    ? await parts.namedOnCall(trx, projectId, parts.clock.now())
    : [];
  for (const { kind, id, name, spec, stored } of changes) {
    const before = (stored?.spec["members"] ?? {}) as Readonly<Record<string, string>>;
    const members = Object.entries((kind === "members" && spec?.["members"]) || {});
    const people =
      kind === "oncall"
        ? named.filter(({ scheduleId }) => scheduleId === id).map(({ userId }) => userId)
        : members.flatMap(([user, role]) =>
            role === "owner" && before[user] !== role ? (parts.users.find(user) ?? []) : [],
          );
    const active = parts.users.reachable(people, projectId);
    const reached = await withWay(parts, trx, projectId, active, "high");
    const without = active.filter((user) => !reached.has(user));
    if (without.length === 0) continue;
    const rows = await trx.selectFrom("users").select(["name", "username"]).where("id", "in", without).execute();
    for (const { name: called, username } of rows)
      found.push({ kind, name, code: "person-without-way", message: noWayText(called || (username ?? ""), "high") });
  }
  return found;
}

/** Whether no step has anyone now, or a channel that sends. */
async function reachesNobody(parts: WarningParts, trx: Trx, { projectId, definition }: WarnedPolicy): Promise<boolean> {
  // It is meant to list alerts only.
  if (!definition.opensIncidents) return false;
  for (const step of definition.steps) {
    const channel = channelOf(step);
    if (channel !== undefined) {
      const row = await trx.selectFrom("channels").select("active").where("id", "=", channel).executeTakeFirst();
      if (row?.active === 1) return false;
    } else if (step.type === "webhook") return false;
    if (step.type !== "notify") continue;
    const { users } = await candidatesOf(parts, trx, projectId, step, parts.clock.now());
    if (users.length > 0) return false;
  }
  return true;
}

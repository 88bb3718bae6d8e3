import { notificationRow } from "../../../store/commit/notification-row.ts";
import type { Trx } from "../../../store/database.ts";
import { administrators, ownersOf } from "../../access/index.ts";
import { DEFAULT_POLICY, type PolicyStep } from "../policies/policy.ts";
import { sendToChannel } from "./channel-steps.ts";
import type { IncidentParts } from "./context.ts";
import { type Notice, notifyUsers, reachableOf } from "./notices.ts";
import { type IncidentRow, type LogEntry, lastLogSeq } from "./store.ts";
import { candidatesOf } from "./targets.ts";
import { hostOf, pageWebhook } from "./webhooks.ts";

/* Who is paged when the steps of a policy reach no one: docs/alerts.md, "Reaching no one". */

/** The incident reaches no one: pages the first level with a way that works. @returns its rows of the timeline */
export async function fallBack(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { notice, now }: { readonly notice: Notice; readonly now: number },
): Promise<LogEntry[]> {
  for (const name of policiesOf(parts, row)) {
    const found = await byPolicy(parts, trx, row, { name, notice, now });
    if (found) return [found];
  }
  const owners = parts.users.reachable(await ownersOf(trx, row.projectId), row.projectId);
  const users = await withWay(parts, trx, row, owners);
  if (users.length > 0) return [await toUsers(parts, trx, row, { level: "owners", users, notice, now })];
  return row.urgency === "high" && parts.toAdministrators() ? toAdministrators(parts, trx, row, now) : [];
}

/** The policy's own fallback, then the project's default. */
function policiesOf({ policies }: IncidentParts, { projectId, policyId, policyVersion }: IncidentRow): string[] {
  const own = policies.definitionOf({ id: policyId, version: policyVersion });
  const known = policies.of(projectId);
  const names = [own.fallback ?? DEFAULT_POLICY, DEFAULT_POLICY];
  return [...new Set(names)].filter((name) => name !== own.name && known.has(name));
}

interface Level {
  readonly name: string;
  readonly notice: Notice;
  readonly now: number;
}

/** The steps of a policy up to its first wait, if they reach someone. */
async function byPolicy(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  { name, notice, now }: Level,
): Promise<LogEntry | null> {
  const policy = parts.policies.named(row.projectId, name);
  const { steps } = parts.policies.definitionOf(policy);
  const end = steps.findIndex(({ type }) => type === "wait");
  const first = end === -1 ? steps : steps.slice(0, end);
  const users = await usersOf(parts, trx, row, first, now);
  const others = first.filter((step) => step.type === "webhook" || step.type === "channel");
  if (users.length === 0 && others.length === 0) return null;
  const ways: string[] = [];
  for (const step of others) {
    if (step.type === "webhook") {
      await pageWebhook(parts, trx, row, { index: steps.indexOf(step), step, reason: "step", now, policy });
      ways.push(hostOf(step));
    } else {
      const cause = { reason: "step", notice, by: null, now, isRepeated: false } as const;
      await sendToChannel(parts, trx, row, step.id, cause);
      ways.push(`channel ${step.id}`);
    }
  }
  const level = `policy ${name}`;
  if (users.length === 0) return { kind: "fallback", data: { level, users, ways } };
  const entry = await toUsers(parts, trx, row, { level, users, notice, now });
  return { ...entry, data: { ...entry.data, ways } };
}

async function usersOf(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  steps: readonly PolicyStep[],
  now: number,
): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const step of steps)
    if (step.type === "notify")
      for (const id of (await candidatesOf(parts, trx, row.projectId, step, now)).users) found.add(id);
  return withWay(parts, trx, row, [...found]);
}

/** Those with a way that works; on a server without outside ways all of them, in the app. */
async function withWay(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  users: readonly string[],
): Promise<readonly string[]> {
  return parts.pages.hasWays ? [...(await reachableOf(parts, trx, row, users, row.urgency))] : users;
}

async function toUsers(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  given: { readonly level: string; readonly users: readonly string[]; readonly notice: Notice; readonly now: number },
): Promise<LogEntry> {
  const { level, users, notice, now } = given;
  const logSeq = await lastLogSeq(trx, row.id);
  const { notificationIds } = await notifyUsers(parts, trx, row, users, notice, { now, logSeq });
  return { kind: "fallback", data: { level, users, count: users.length, notificationIds } };
}

/** Administrators are no members of the project: they get its name, the number and a link. */
async function toAdministrators(parts: IncidentParts, trx: Trx, row: IncidentRow, now: number): Promise<LogEntry[]> {
  const ids = (await administrators(trx)).map(({ id }) => id);
  const users = await withWay(parts, trx, row, ids);
  if (users.length === 0) return [];
  const project = await trx.selectFrom("projects").select("name").where("id", "=", row.projectId).executeTakeFirst();
  const url = parts.publicUrl()?.replace(/\/+$/, "");
  const link = url === undefined ? null : `${url}/dashboard/incidents/${row.id}`;
  const title = `Incident ${row.number} of ${project?.name ?? "a project"} has reached no one`;
  const message =
    "No person of the project could be reached. Open the incident, and check who is on call and how they are notified.";
  const stored = notificationRow({
    kind: "incident",
    projectId: null,
    priority: 800,
    correlationId: row.id,
    title,
    message,
    action: link === null ? null : JSON.stringify({ type: "open", label: "Open the incident", url: link }),
    data: JSON.stringify({ incidentId: row.id, number: row.number, reason: "step", urgency: "high", state: row.state }),
    channels: JSON.stringify(["in_app", "pusher", "fcm", "apns", "webpush", "email", "webhook", "service"]),
    dedupeKey: `incident:${row.id}:administrators:${row.version}`,
    createdAt: now,
  });
  await parts.notify.store(stored, users, trx, { incidentId: row.id, isPaged: true });
  const facts = { incidentId: row.id, projectId: row.projectId, urgency: "high", reason: "step", step: null } as const;
  const { pages } = await parts.pagePeople(trx, stored, users, facts);
  await parts.pages.add(trx, pages);
  return [
    { kind: "fallback", data: { level: "administrators", users, count: users.length, notificationIds: [stored.id] } },
  ];
}

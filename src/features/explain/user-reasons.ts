import { toRfc3339 } from "../../core/time/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import type { UnreachableView } from "./alert-schema.ts";
import * as queries from "./queries.ts";
import { type ExplainedRule, OUT_OF_REACH, type OutcomeDefinition } from "./rule-outcomes.ts";
import type { ExplainedNotification, ExplainView, RecipientView, RuleView } from "./schema.ts";

/** Why a rule notified a user, or did not. */
type NotifiedRecipient = NonNullable<RuleView["user"]>;

type UserReasons = NonNullable<ExplainView["user"]> & { readonly byRule: ReadonlyMap<string, NotifiedRecipient> };

/** @param at time of the event; null without one. */
export async function reasonsFor(
  db: ReadDb,
  eligibility: Eligibility,
  rules: readonly ExplainedRule[],
  notifications: readonly ExplainedNotification[],
  at: number | null,
): Promise<UserReasons> {
  const { id } = eligibility.person;
  const byRule = new Map<string, NotifiedRecipient>();
  const reasons: string[] = [];
  const ofRules = new Set<string>();
  for (const rule of rules) {
    const notification = notifications.find((each) => each.id === rule.view.notificationId);
    if (notification) ofRules.add(notification.id);
    const told = await ruleReason(db, eligibility, rule, notification, at);
    byRule.set(rule.view.ruleId, { ...told, reach: rule.definition && reachOf(eligibility, rule.definition) });
    reasons.push(`${rule.view.name}: ${told.reason}`);
    reasons.push(...channelLines(eligibility, rule, notification));
  }
  const others = notifications.filter((each) => !ofRules.has(each.id));
  for (const notification of others) {
    const mine = notification.recipients.find(({ userId }) => userId === id);
    reasons.push(`${notification.title}: ${mine ? readText(mine) : "is not one of its recipients"}`);
    if (mine) reasons.push(...deliveryReasons(mine).map((line) => `${notification.title}: ${line}`));
  }
  const unreachable = notifications
    .flatMap(({ recipients }) => recipients)
    .find((each) => each.userId === id && each.unreachable !== null)?.unreachable;
  if (unreachable) reasons.push(unreachable.text);
  const toldDirectly = others.some(({ recipients }) => recipients.some(({ userId }) => userId === id));
  const told = toldDirectly || [...byRule.values()].some((each) => each.told);
  if (reasons.length === 0) reasons.push(strangerReason(eligibility) ?? "no rule applied to it");
  return { id, name: nameOf(eligibility.person), told, reasons, byRule };
}

async function ruleReason(
  db: ReadDb,
  eligibility: Eligibility,
  { view, definition }: ExplainedRule,
  notification: ExplainedNotification | undefined,
  at: number | null,
): Promise<Omit<NotifiedRecipient, "reach">> {
  const mine = notification?.recipients.find(({ userId }) => userId === eligibility.person.id);
  if (mine && view.outcome === "deduped")
    return { told: true, reason: `notified by the earlier notification ${notification?.id}: ${readText(mine)}` };
  if (mine) return { told: true, reason: `notified: ${readText(mine)}` };
  const lack = definition && at !== null ? missing(eligibility, definition, at) : null;
  switch (view.outcome) {
    case "fired":
      return { told: false, reason: await unreached(db, view, notification, lack) };
    case "suppressed":
      return { told: false, reason: `${orMissing(view.reason, lack)}${await noticed(db, eligibility, view)}` };
    default:
      return { told: false, reason: orMissing(view.reason, lack) };
  }
}

/** The rule notified others, but not this user. */
async function unreached(
  db: ReadDb,
  { notificationId }: RuleView,
  notification: ExplainedNotification | undefined,
  missing: string | null,
): Promise<string> {
  if (notificationId !== null && (await queries.isAddressing(db, notificationId)))
    return "its recipients are still being written";
  if (missing !== null) return missing;
  if (!notification) return "the notification has been removed by retention";
  return "is in its reach now, but was not when the rules were evaluated";
}

/** Held back, but included in the rolling notice. */
async function noticed(db: ReadDb, eligibility: Eligibility, { suppression }: RuleView): Promise<string> {
  const noticeId = suppression?.storm?.noticeId ?? null;
  if (noticeId === null) return "";
  const [row] = await queries.recipientsOf(db, noticeId, eligibility.person.id, 1);
  return row ? `; the notice ${noticeId} says so` : "";
}

function orMissing(reason: string, missing: string | null): string {
  return missing === null ? reason : `${reason}${OUT_OF_REACH}${missing}`;
}

function channelLines(
  eligibility: Eligibility,
  { view, definition }: ExplainedRule,
  notification: ExplainedNotification | undefined,
): string[] {
  const mine = notification?.recipients.find(({ userId }) => userId === eligibility.person.id);
  if (!mine || !definition) return [];
  return channelReasons(eligibility, definition.channels, mine).map((line) => `${view.name}: ${line}`);
}

/** Whether a recipient has received, read or acknowledged a notification. */
function readText(recipient: RecipientView): string {
  const { acknowledgedAt, readAt, deletedAt, delivered, deliveredAt } = recipient;
  if (acknowledgedAt !== null) return `acknowledged at ${acknowledgedAt}`;
  if (readAt !== null) return `read at ${readAt}`;
  if (deletedAt !== null) return `deleted unread at ${deletedAt}`;
  const outside = recipient.deliveries.find(({ state }) => state === "delivered");
  if (outside) return `sent by ${outside.channel} at ${outside.deliveredAt ?? outside.updatedAt}, not read yet`;
  if (delivered) return `shown live${deliveredAt === null ? "" : ` at ${deliveredAt}`}, not read yet`;
  return "waits in the inbox, not delivered yet";
}

const PUSH = ["fcm", "apns", "webpush"] as const;

/** Whether rules reach a user: current roles and memberships, and since when. */
export interface Eligibility {
  readonly person: queries.Person;
  readonly roles: Awaited<ReturnType<typeof queries.rolesOf>>;
  readonly devices: Awaited<ReturnType<typeof queries.devicesOf>>;
  readonly memberSince: number | null;
  readonly projectId: string | null;
  readonly defaultProjectId: string;
}

/** @param projectId the project of the membership; null without one. */
export async function readEligibility(
  db: ReadDb,
  userId: string,
  projectId: string | null,
  defaultProjectId: string,
): Promise<Eligibility | null> {
  const person = await queries.findPerson(db, userId);
  if (!person) return null;
  const [roles, devices, member] = await Promise.all([
    queries.rolesOf(db, userId),
    queries.devicesOf(db, userId),
    projectId === null ? undefined : queries.membershipOf(db, userId, projectId),
  ]);
  return { person, roles, devices, memberSince: member?.since ?? null, projectId, defaultProjectId };
}

/** Why a rule reaches the user, by the current roles; null if it does not. */
function reachOf({ person, roles }: Eligibility, { targetRoles, targetUsers }: OutcomeDefinition): string | null {
  if (targetUsers.includes(person.id)) return "is named in the rule";
  const held = roles.filter(({ id, name }) => targetRoles.includes(name) || targetRoles.includes(id));
  if (held.length === 0) return null;
  return `holds the ${held.length === 1 ? "role" : "roles"} ${held.map(({ name }) => name).join(", ")}`;
}

/** Why nothing of the project reaches the user; null if something can. */
function strangerReason({ person, memberSince, projectId, defaultProjectId }: Eligibility): string | null {
  if (person.deletedAt !== null) return "the account has been deleted";
  if (person.status !== "active") return `the account is ${person.status}`;
  if (projectId === null || projectId === defaultProjectId || memberSince !== null) return null;
  return "is not a member of the project";
}

/** Why a rule could not reach the user at an instant; null if it could. */
function missing(
  { person, roles, memberSince, defaultProjectId }: Eligibility,
  { projectId, targetRoles, targetUsers }: OutcomeDefinition,
  at: number,
): string | null {
  const { status, deletedAt, id } = person;
  if (deletedAt !== null) return "the account has been deleted";
  if (status !== "active") return `the account is ${status}`;
  const held = roles.filter((role) => targetRoles.includes(role.name) || targetRoles.includes(role.id));
  const inTime = held.some(({ since }) => since <= at);
  if (!targetUsers.includes(id) && !inTime) {
    const [late] = held;
    if (late) return `holds ${late.name} only since ${toRfc3339(late.since)}`;
    return targetRoles.length === 0
      ? "is not one of the users whom the rule names"
      : `holds none of its roles (${targetRoles.join(", ")}) and is not named by it`;
  }
  if (projectId === null || projectId === defaultProjectId) return null;
  if (memberSince === null) return "is not a member of the rule's project";
  return memberSince > at ? `is a member of the project only since ${toRfc3339(memberSince)}` : null;
}

type Delivered = Pick<RecipientView["deliveries"][number], "channel" | "state" | "reason" | "lastError">;

/** Why deliveries did not reach the user: one line each. */
function deliveryReasons({ deliveries }: RecipientView): string[] {
  return deliveries.filter(({ state }) => state !== "delivered").map(deliveryText);
}

/** Such as `email is queued: quiet hours`. */
export function deliveryText({ channel, state, reason, lastError }: Delivered): string {
  const why = state === "delivered" ? null : (reason ?? lastError);
  return `${channel} ${state === "failed" ? "failed" : `is ${state}`}${why === null ? "" : `: ${why}`}`;
}

/** {@link deliveryReasons}, and why other channels of the rule have no delivery. */
function channelReasons(
  { person, devices: all }: Eligibility,
  channels: readonly string[],
  recipient: RecipientView,
): string[] {
  const lines = deliveryReasons(recipient);
  const used = new Set(recipient.deliveries.map(({ channel }) => channel));
  for (const kind of PUSH)
    if (channels.includes(kind) && !used.has(kind)) {
      const devices = all.filter((device) => device.kind === kind);
      if (devices.length === 0) lines.push(`${kind}: the user has no such device`);
      else if (devices.every(({ disabledAt }) => disabledAt !== null))
        lines.push(`${kind}: the token of every such device is dead`);
    }
  if (channels.includes("email") && !used.has("email") && person.email === null)
    lines.push("email: the user has no address");
  return lines;
}

/** Users whom no channel reaches now: without an address, a device, a webhook, a channel and any login. */
export async function unreachableOf(
  db: ReadDb,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, UnreachableView>> {
  const rows = userIds.length === 0 ? [] : await queries.reachOf(db, userIds);
  const found = rows.filter(
    (row) => !row.email && row.lastLoginAt === null && !row.hasDevice && !row.hasWebhook && !row.hasChannel,
  );
  return new Map(found.map(({ id }) => [id, UNREACHABLE]));
}

const UNREACHABLE: UnreachableView = {
  code: "no-channel",
  lacks: ["address", "device", "webhook", "login"],
  text: "No channel reaches this user: no mail address, no active device, no webhook, and no login ever",
};

export function nameOf(person: Pick<queries.Recipient, "name" | "username" | "email">): string {
  return person.name || person.username || person.email || "a user without a name";
}

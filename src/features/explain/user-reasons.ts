import type { ReadDb } from "../../store/database.ts";
import * as queries from "./queries.ts";
import type { Reach } from "./reach.ts";
import type { ExplainedRule } from "./rule-outcomes.ts";
import type { NotificationView, RecipientView, RuleView } from "./schema.ts";
import { OUT_OF_REACH } from "./texts.ts";

interface Told {
  readonly told: boolean;
  readonly reason: string;
}

/** Why one user was told, or was not. */
export interface UserReasons {
  readonly id: string;
  readonly name: string;
  readonly told: boolean;
  readonly reasons: readonly string[];
  readonly byRule: ReadonlyMap<string, Told>;
}

/** @param at when the event came; null where there is none. */
export async function reasonsFor(
  db: ReadDb,
  reach: Reach,
  rules: readonly ExplainedRule[],
  notifications: readonly NotificationView[],
  at: number | null,
): Promise<UserReasons & { reasons: string[] }> {
  const { id } = reach.person;
  const byRule = new Map<string, Told>();
  const reasons: string[] = [];
  const ofRules = new Set<string>();
  for (const rule of rules) {
    const notification = notifications.find((each) => each.id === rule.view.notificationId);
    if (notification) ofRules.add(notification.id);
    const told = await ruleReason(db, reach, rule, notification, at);
    byRule.set(rule.view.ruleId, told);
    reasons.push(`${rule.view.name}: ${told.reason}`);
    reasons.push(...channelLines(reach, rule, notification));
  }
  const others = notifications.filter((each) => !ofRules.has(each.id));
  for (const notification of others) {
    const mine = notification.recipients.find(({ userId }) => userId === id);
    reasons.push(`${notification.title}: ${mine ? readText(mine) : "is not one of its recipients"}`);
    if (mine) reasons.push(...reach.deliveryReasons(mine).map((line) => `${notification.title}: ${line}`));
  }
  const toldDirectly = others.some(({ recipients }) => recipients.some(({ userId }) => userId === id));
  const told = toldDirectly || [...byRule.values()].some((each) => each.told);
  if (reasons.length === 0) reasons.push("no rule was there to tell anybody");
  return { id, name: reach.name, told, reasons, byRule };
}

async function ruleReason(
  db: ReadDb,
  reach: Reach,
  { view, definition }: ExplainedRule,
  notification: NotificationView | undefined,
  at: number | null,
): Promise<Told> {
  const mine = notification?.recipients.find(({ userId }) => userId === reach.person.id);
  if (mine && view.outcome === "deduped")
    return { told: true, reason: `told by the earlier notification ${notification?.id}: ${readText(mine)}` };
  if (mine) return { told: true, reason: `told: ${readText(mine)}` };
  const missing = definition && at !== null ? reach.missing(definition, at) : null;
  switch (view.outcome) {
    case "fired":
      return { told: false, reason: await unreached(db, view, notification, missing) };
    case "suppressed":
      return { told: false, reason: `${orMissing(view.reason, missing)}${await noticed(db, reach, view)}` };
    default:
      return { told: false, reason: orMissing(view.reason, missing) };
  }
}

/** The rule told somebody, but not this one. */
async function unreached(
  db: ReadDb,
  { notificationId }: RuleView,
  notification: NotificationView | undefined,
  missing: string | null,
): Promise<string> {
  if (notificationId !== null && (await queries.isAddressing(db, notificationId)))
    return "its recipients are still being written";
  if (missing !== null) return missing;
  if (!notification) return "the notification has been removed by retention";
  return "is in its reach now, but was not when the event was decided";
}

/** Held back, but the rolling notice says so. */
async function noticed(db: ReadDb, reach: Reach, { suppression }: RuleView): Promise<string> {
  const noticeId = suppression?.storm?.noticeId ?? null;
  if (noticeId === null) return "";
  const [row] = await queries.recipientsOf(db, noticeId, reach.person.id, 1);
  return row ? `; the notice ${noticeId} says so` : "";
}

function orMissing(reason: string, missing: string | null): string {
  return missing === null ? reason : `${reason}${OUT_OF_REACH}${missing}`;
}

function channelLines(
  reach: Reach,
  { view, definition }: ExplainedRule,
  notification: NotificationView | undefined,
): string[] {
  const mine = notification?.recipients.find(({ userId }) => userId === reach.person.id);
  if (!mine || !definition) return [];
  return reach.channelReasons(definition.channels, mine).map((line) => `${view.name}: ${line}`);
}

/** How far a notification has come with one recipient. */
export function readText(recipient: RecipientView): string {
  const { acknowledgedAt, readAt, deletedAt, delivered, deliveredAt } = recipient;
  if (acknowledgedAt !== null) return `acknowledged at ${acknowledgedAt}`;
  if (readAt !== null) return `read at ${readAt}`;
  if (deletedAt !== null) return `deleted unread at ${deletedAt}`;
  const outside = recipient.deliveries.find(({ state }) => state === "delivered");
  if (outside) return `sent by ${outside.channel} at ${outside.deliveredAt ?? outside.updatedAt}, not read yet`;
  if (delivered) return `shown live${deliveredAt === null ? "" : ` at ${deliveredAt}`}, not read yet`;
  return "waits in the inbox, not delivered yet";
}

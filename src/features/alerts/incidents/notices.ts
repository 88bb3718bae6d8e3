import { type EpochMs, toRfc3339 } from "../../../core/clock.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import type { Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { COMPLETED, type RunningJob } from "../../jobs/index.ts";
import { cutText } from "../../rules/index.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import type { NoticeReason } from "./machine.ts";
import { type AudienceMember, acksOf, findIncident, type IncidentRow, lastLog } from "./store.ts";

/* Notifications of incidents: texts, contact rules, and the jobs of delayed ones. */

const PRIORITY = { high: 800, low: 300 } as const satisfies Record<Urgency, number>;
const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const LINE_LENGTH = 300;
const SHOWN_ALERTS = 10;

/** Names in contact rules, as in preferences, and their channels. */
export const CONTACT_CHANNELS = {
  in_app: ["in_app", "pusher"],
  push: ["fcm", "apns", "webpush"],
  email: ["email"],
  webhook: ["webhook"],
} as const;
export type ContactChannel = keyof typeof CONTACT_CHANNELS;

/** Without contact rules the preferences decide, as for every notification. */
const ALL_CHANNELS = Object.values(CONTACT_CHANNELS).flat().sort();

/** What recipients are told. */
export interface Notice {
  readonly reason: Exclude<NoticeReason, "some-resolved">;
  readonly urgency: Urgency;
  /** Such as "Step 2 of the policy Database". */
  readonly cause: string;
  readonly alerts: readonly AlertView[];
  /** The step should have run at this time. */
  readonly lateSince: EpochMs | null;
  /** Number of the notice in its incident. */
  readonly number: number;
}

/** What was stored: for the timeline. */
export interface Sent {
  readonly notificationIds: readonly string[];
  /** Users whose contact rules delay a further notification, with the delays. */
  readonly delayed: Readonly<Record<string, readonly number[]>>;
}

interface Contact {
  readonly userId: string;
  readonly afterMs: number;
  readonly channels: readonly string[];
}

/** Notifies users by their contact rules for this urgency. @param logSeq the timeline's last row */
export async function notifyUsers(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  users: readonly string[],
  notice: Notice,
  { now, logSeq }: { readonly now: EpochMs; readonly logSeq: number },
): Promise<Sent> {
  const contacts = await contactsOf(trx, users, notice.urgency);
  const later = contacts.filter(({ afterMs }) => afterMs > 0);
  const atOnce = contacts.filter(({ afterMs }) => afterMs === 0);
  const notificationIds = await storeNotices(parts, trx, row, atOnce, notice, now);
  const delayed: Record<string, number[]> = {};
  for (const [at, contact] of later.entries()) {
    delayed[contact.userId] = [...(delayed[contact.userId] ?? []), contact.afterMs];
    await parts.jobs.enqueue(delayedJob(row, contact, notice, { now, logSeq, at }), { trx });
  }
  return { notificationIds, delayed };
}

/** Notifies the audience of earlier notifications by the channels of those. */
export function notifyAudience(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  audience: readonly AudienceMember[],
  notice: Notice,
  now: EpochMs,
): Promise<string[]> {
  const contacts = audience.map(({ userId, channels }) => ({ userId, channels, afterMs: 0 }));
  return storeNotices(parts, trx, row, contacts, notice, now);
}

async function contactsOf(trx: Trx, users: readonly string[], urgency: Urgency): Promise<Contact[]> {
  const rows = await trx
    .selectFrom("contact_rules")
    .selectAll()
    .where("userId", "in", users)
    .where("urgency", "=", urgency)
    .orderBy("userId")
    .orderBy("position")
    .execute();
  return users.flatMap((userId): Contact[] => {
    const own = rows.filter((each) => each.userId === userId);
    if (own.length === 0) return [{ userId, afterMs: 0, channels: ALL_CHANNELS }];
    return own.map(({ afterMs, channels }) => ({ userId, afterMs, channels: channelsOf(channels) }));
  });
}

function channelsOf(stored: string): readonly string[] {
  return (JSON.parse(stored) as ContactChannel[]).flatMap((each) => CONTACT_CHANNELS[each]).sort();
}

/** One notification for each set of channels. */
async function storeNotices(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  contacts: readonly Contact[],
  notice: Notice,
  now: EpochMs,
): Promise<string[]> {
  const groups = new Map<string, Set<string>>();
  for (const { userId, channels } of contacts) {
    const key = JSON.stringify(channels);
    groups.set(key, (groups.get(key) ?? new Set()).add(userId));
  }
  const ids: string[] = [];
  for (const [channels, users] of groups) {
    const dedupeKey = `incident:${row.id}:${notice.number}:${ids.length}`;
    const stored = notificationRow({ ...contentOf(parts, row, notice), channels, dedupeKey, createdAt: now });
    await parts.notify.store(stored, [...users], trx, { incidentId: row.id });
    ids.push(stored.id);
  }
  return ids;
}

function contentOf(parts: IncidentParts, row: IncidentRow, notice: Notice) {
  const { id, number, projectId, title, firing } = row;
  const { reason, urgency } = notice;
  const isEnd = reason === "resolved";
  const url = parts.publicUrl();
  const action = { type: "open", label: "Open the incident", url: `${url?.replace(/\/+$/, "")}/incidents/${id}` };
  return {
    kind: "incident",
    projectId,
    priority: PRIORITY[urgency],
    correlationId: id,
    title: cutText(`[${isEnd ? "RESOLVED" : `FIRING:${firing}`}] ${title}`, TITLE_LENGTH),
    message: messageOf(row, notice),
    action: url === undefined ? null : JSON.stringify(action),
    data: JSON.stringify({ incidentId: id, number, reason, urgency, state: row.state, firing }),
  } as const;
}

function messageOf(row: IncidentRow, { reason, cause, alerts, lateSince }: Notice): string {
  const { number, firing, openedAt } = row;
  const count = firing === 1 ? "1 alert fires" : `${firing} alerts fire`;
  const state = reason === "resolved" ? "is resolved" : `is open since ${toRfc3339(openedAt)}: ${count}`;
  const shown = alerts.slice(0, SHOWN_ALERTS).map((alert) => `- ${alertLine(alert)}`);
  const more = alerts.length > SHOWN_ALERTS ? [`- and ${alerts.length - SHOWN_ALERTS} more`] : [];
  const late = lateSince === null ? [] : [`Late: this was due at ${toRfc3339(lateSince)}.`];
  const parts = [`Incident ${number} ${state}.`, `${cause}.`, ...late, [...shown, ...more].join("\n")];
  return cutText(parts.filter((part) => part !== "").join("\n\n"), MESSAGE_LENGTH);
}

function alertLine({ labels, annotations, startsAt }: AlertView): string {
  const names = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const text = annotations["summary"] ?? annotations["description"] ?? annotations["message"];
  const line = text === undefined ? names.join(", ") : `${text} (${names.join(", ")})`;
  return cutText(`${line.replaceAll(/\s+/g, " ")}, since ${toRfc3339(startsAt)}`, LINE_LENGTH);
}

const CONTACT_JOB = "incident.contact";

interface DelayedPayload {
  readonly incidentId: string;
  readonly userId: string;
  readonly channels: readonly string[];
  readonly urgency: Urgency;
  readonly cause: string;
  readonly number: number;
  readonly logSeq: number;
}

function delayedJob(
  { id }: IncidentRow,
  { userId, channels, afterMs }: Contact,
  { urgency, cause, number }: Notice,
  { now, logSeq, at }: { readonly now: EpochMs; readonly logSeq: number; readonly at: number },
) {
  const payload: DelayedPayload = { incidentId: id, userId, channels, urgency, cause, number, logSeq };
  return {
    queue: "notification-delivery",
    kind: CONTACT_JOB,
    payload,
    runAt: now + afterMs,
    priority: PRIORITY[urgency],
    dedupeKey: `incident:${id}:${number}:${at}`,
    correlationId: id,
  } as const;
}

/** Changes of an incident that end the delayed notifications of earlier steps. */
const ENDS_DELAYED = ["unacknowledged", "ack-expired", "snoozed", "unsnoozed", "snooze-ended", "escalated"];

/** Registers the job that sends the delayed notification of a contact rule. */
export function handleDelayed(parts: IncidentParts): void {
  parts.runner.handle(CONTACT_JOB, (job) => sendDelayed(parts, job));
}

async function sendDelayed(parts: IncidentParts, job: RunningJob): Promise<typeof COMPLETED> {
  const { incidentId, userId, channels, urgency, cause, number, logSeq } = job.payload as DelayedPayload;
  await parts.db.write(async (trx) => {
    const row = await findIncident(trx, incidentId);
    const isWanted = row !== undefined && (await isStillWanted(parts, trx, row, userId, logSeq));
    await parts.jobs.complete(job, trx, { sent: isWanted });
    if (!isWanted) return;
    const notice: Notice = { reason: "step", urgency, cause, alerts: [], lateSince: null, number };
    await storeNotices(parts, trx, row, [{ userId, channels, afterMs: 0 }], notice, parts.clock.now());
  });
  return COMPLETED;
}

async function isStillWanted(
  { users }: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  userId: string,
  logSeq: number,
): Promise<boolean> {
  if (row.state !== "open" || row.snoozedUntil !== null || row.firing === 0) return false;
  if (users.reachable([userId], row.projectId).length === 0) return false;
  if ((await acksOf(trx, row.id)).some((ack) => ack.userId === userId)) return false;
  const changed = await lastLog(trx, row.id, ENDS_DELAYED);
  return changed === undefined || changed.seq <= logSeq;
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Receiver } from "./receiver.ts";
import type { Caller, Fired, Targets } from "./site.ts";
import type { OpenWay, WayName } from "./ways.ts";

/* Compares what the server says with what the targets have in their ledgers. */

/** A notice of an incident, as `GET /api/v1/incidents/:id` shows it. */
export interface Notice {
  readonly id: string;
  readonly kind: string;
  readonly outcome: string;
  readonly attempts: number;
  readonly channel: string | null;
  readonly step: number | null;
}

interface Entry {
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Incident {
  readonly title: string;
  readonly timeline: readonly Entry[];
  readonly notices?: readonly Notice[];
}

/** What the server says at one moment. */
export interface Said {
  readonly incidents: readonly Incident[];
  readonly delivered: readonly { readonly id: string; readonly notificationId: string; readonly channel: string }[];
}

export async function ask(server: Caller): Promise<Said> {
  const listed = await all<{ id: string }>(server, "/incidents?projectId=default");
  const incidents: Incident[] = [];
  for (const { id } of listed) incidents.push(await server.call<Incident>("GET", `/incidents/${id}`));
  return { incidents, delivered: await all(server, "/deliveries?state=delivered") };
}

/** Asks until every notice has an outcome that stays, for some seconds at most. */
export async function askAtEnd(server: Caller): Promise<Said> {
  for (let left = END_ASKS; ; left -= 1) {
    const said = await ask(server);
    const isSettled = said.incidents.every(({ notices = [] }) =>
      notices.every(({ outcome }) => outcome !== "queued" && outcome !== "trying"),
    );
    if (left === 0 || isSettled) return said;
    await sleep(END_PAUSE_MS);
  }
}

const END_ASKS = 40;
const END_PAUSE_MS = 250;

async function all<T>(server: Caller, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor = ""; ; ) {
    const page = await server.call<{ data: T[]; nextCursor: string | null }>("GET", `${path}&limit=100${cursor}`);
    items.push(...page.data);
    if (page.nextCursor === null) return items;
    cursor = `&cursor=${page.nextCursor}`;
  }
}

/**
 * Claims of delivery that no ledger confirms, in words. The answers were read before the ledgers,
 * so a delivery in between is no contradiction.
 */
export function falseClaims(targets: Targets, said: Said, fired: readonly Fired[]): string[] {
  const { accepted } = targets;
  const ids = new Set(accepted.map(({ id }) => id));
  const claims = said.delivered
    .filter(({ id, notificationId, channel }) => channel !== "in_app" && !ids.has(id) && !ids.has(notificationId))
    .map(({ id, channel }) => `/deliveries: ${channel} ${id}`);
  for (const { name } of fired) {
    const incident = said.incidents.find(({ title }) => title.includes(name));
    const isReached = accepted.some(({ text }) => text.includes(name));
    const isConfirmed = ({ id, channel }: Notice): boolean =>
      ids.has(id) || (isReached && NOTIFICATION_IDS.includes(channel ?? ""));
    const claimed = (incident?.notices ?? []).filter(({ outcome }) => outcome === "delivered");
    const unconfirmed = claimed.filter((notice) => !isConfirmed(notice));
    claims.push(...unconfirmed.map(({ id, kind, channel }) => `${name}: notice ${kind} ${channel} ${id}`));
    if (isReached) continue;
    const entries = (incident?.timeline ?? []).filter(saysDelivered);
    claims.push(...entries.map(({ kind }) => `${name}: timeline ${kind}`));
  }
  return claims;
}

/** Channels whose messages have the id of the notification; otherwise it is that of the notice. */
const NOTIFICATION_IDS = ["fcm", "webpush"];

function saysDelivered({ data }: Entry): boolean {
  const { outcome, outcomes, isSent } = data;
  return isSent === true || [outcome, ...valuesOf(outcomes)].some((each) => each === "delivered");
}

function valuesOf(outcomes: unknown): unknown[] {
  const values: unknown[] = Object.values(Object(outcomes) as Record<string, unknown>);
  return values.map((value) => (Object(value) as { outcome?: unknown }).outcome ?? value);
}

/** What became of the pages of one way. */
export interface WayResult {
  readonly way: WayName;
  /** It belongs to a person, so that the next way is a contact rule; otherwise a later step. */
  readonly isPerson: boolean;
  readonly pages: number;
  /** Names of those that did not arrive. */
  readonly lost: readonly string[];
  /** Pages that arrived more than once, with the same id. */
  readonly repeated: number;
  /** From the recovery to the first and the last waiting page; null without one. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** The most that PAGES 2 and 11 give the first one. */
  readonly allowedMs: number;
  /** From the refusal, or else the alert, to the next way; the longest of all pages, null without one. */
  readonly nextWayMs: number | null;
  /** Outcomes of the notices at the targets that failed, with their numbers. */
  readonly outcomes: Readonly<Record<string, number>>;
}

const HIGH_MS = 30_000;
const LOW_MS = 60_000;
/** After a 4xx of a mail server. */
const MAIL_MS = 300_000;

/** @param recoveredAt epoch ms; null: the targets never recover. */
export function resultOf(
  targets: Targets,
  way: OpenWay,
  fired: readonly Fired[],
  { said, recoveredAt }: { readonly said: Said; readonly recoveredAt: number | null },
): WayResult {
  const { accepted } = way.receiver.ledger;
  const own = fired.filter((each) => each.way === way.name);
  const arrived = own.map(({ name }) => accepted.find(({ text }) => text.includes(name))?.at ?? null);
  const late = arrived.filter((at) => at !== null && recoveredAt !== null && at >= recoveredAt) as number[];
  const since = (at: number): number | null => (late.length === 0 ? null : at - (recoveredAt ?? 0));
  const nextWays = own.flatMap((each) => nextWayMs(targets, way, each) ?? []);
  return {
    way: way.name,
    pages: own.length,
    lost: own.filter((_, i) => arrived[i] === null).map(({ name }) => name),
    repeated: repeatedOf(way.receiver),
    firstMs: since(Math.min(...late)),
    lastMs: since(Math.max(...late)),
    allowedMs: recoveredAt === null ? 0 : allowedMs(way, recoveredAt),
    nextWayMs: nextWays.length === 0 ? null : Math.max(...nextWays),
    isPerson: way.step === undefined,
    outcomes: outcomesOf(said, way, own),
  };
}

export function allowedMs({ name, urgency, quotaMs, namesNoTime, receiver }: OpenWay, recoveredAt: number): number {
  const { refused } = receiver.ledger;
  const busy = refused.filter(({ status }) => status === 429);
  const waits = busy.map(({ at, until }) => {
    if (name === "mail") return at + MAIL_MS;
    return namesNoTime || until === null ? at + (quotaMs ?? 0) : until;
  });
  return Math.max(urgency === "low" ? LOW_MS : HIGH_MS, ...waits.map((until) => until - recoveredAt));
}

function nextWayMs({ backups }: Targets, { receiver }: OpenWay, { name, at }: Fired): number | null {
  const isOf = ({ text }: { readonly text: string }): boolean => text.includes(name);
  const next = [...backups.service.ledger.accepted, ...backups.webhook.ledger.accepted].find(isOf);
  const refusal = receiver.ledger.refused.find(isOf);
  return next ? next.at - (refusal?.at ?? at) : null;
}

function repeatedOf({ ledger }: Receiver): number {
  const ids = ledger.accepted.map(({ id }) => id).filter((id) => id !== "");
  return ids.length - new Set(ids).size;
}

/** Of the notices of this way, without those that later ones overtook and those of other ways. */
function outcomesOf({ incidents }: Said, way: OpenWay, own: readonly Fired[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of own) {
    const incident = incidents.find(({ title }) => title.includes(name));
    for (const { kind, channel, step, outcome } of incident?.notices ?? []) {
      const isOfWay = way.step ? kind !== "person" && step === 0 : channel === way.channel;
      if (isOfWay && outcome !== "overtaken") counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
  }
  return counts;
}

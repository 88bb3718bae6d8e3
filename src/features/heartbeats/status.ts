import type { Json } from "../../core/text/json-text.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { HeartbeatStatus, PingKind } from "../../store/schema.ts";
import type { AlertInput } from "../alerts/index.ts";
import { Recurrence } from "../time/schedules/index.ts";
import { Heartbeat, type HeartbeatRow } from "./heartbeat.ts";
import { nextElapse, readOnCalendar } from "./on-calendar.ts";

// The states of a heartbeat (docs/heartbeats.md): pure functions over its row.

/** When a heartbeat expects pings. */
export type PingPlan = Pick<HeartbeatRow, "kind" | "timeoutMs" | "graceMs" | "schedule" | "timezone">;

/** Columns that pings change. */
export interface HeartbeatState {
  readonly status: HeartbeatStatus;
  readonly lastPingAt: EpochMs | null;
  readonly lastStartAt: EpochMs | null;
  readonly lastStartRid: string | null;
  readonly lastDurationMs: number | null;
}

/** A change of the stored status. */
export interface Flip {
  readonly from: HeartbeatStatus;
  readonly to: HeartbeatStatus;
  readonly at: EpochMs;
  readonly reason: FlipReason;
}
export type FlipReason = "ping" | "fail" | "timeout" | "run-too-long" | "pause" | "resume" | "delete";

export interface HeartbeatChange {
  readonly state: HeartbeatState;
  readonly flip: Flip | null;
  /** Duration of the run that this ping ended. */
  readonly durationMs: number | null;
}

/** When the next ping is expected; null when the heartbeat is not up, or its schedule has ended. */
export function expectedAt(plan: PingPlan, { status, lastPingAt }: HeartbeatState): EpochMs | null {
  if (status !== "up" || lastPingAt === null) return null;
  if (plan.kind === "simple") return lastPingAt + plan.timeoutMs;
  if (plan.kind === "cron")
    return new Recurrence({ cron: plan.schedule ?? "", timezone: plan.timezone }).nextRun(lastPingAt);
  return nextElapse(readOnCalendar(plan.schedule ?? ""), plan.timezone, lastPingAt);
}

/** When the heartbeat goes down without another ping; null if it does not. */
export function dueAtOf(plan: PingPlan, state: HeartbeatState): EpochMs | null {
  const { status, lastStartAt } = state;
  if (status === "paused" || status === "down") return null;
  const expected = expectedAt(plan, state) ?? Number.POSITIVE_INFINITY;
  const from = Math.min(expected, lastStartAt ?? Number.POSITIVE_INFINITY);
  return from === Number.POSITIVE_INFINITY ? null : from + plan.graceMs;
}

/** The status shown: the stored one, and `grace` or `down` by the time. */
export type ShownStatus = HeartbeatStatus | "grace";

/** @param back see {@link fairDueAt}: what is shown as down has gone down, or is about to */
export function shownStatus(plan: PingPlan, state: HeartbeatState, now: EpochMs, back: Back = NEVER_AWAY): ShownStatus {
  const { status, lastStartAt } = state;
  if (status === "paused" || status === "down") return status;
  const isOver = (dueAt: EpochMs): boolean => now >= fairDueAt(dueAt, plan.graceMs, back);
  if (lastStartAt !== null && isOver(lastStartAt + plan.graceMs)) return "down";
  if (status === "new") return status;
  const expected = expectedAt(plan, state);
  if (expected === null || now < expected) return "up";
  return isOver(expected + plan.graceMs) ? "down" : "grace";
}

/** The state after a ping of this kind. */
export function afterPing(state: HeartbeatState, kind: PingKind, rid: string | null, now: EpochMs): HeartbeatChange {
  if (kind === "log" || kind === "ignored") return { state, flip: null, durationMs: null };
  if (kind === "start") {
    const started = { ...state, lastStartAt: now, lastStartRid: rid };
    return { state: started, flip: null, durationMs: null };
  }
  const to = kind === "success" ? "up" : "down";
  const flip: Flip | null =
    state.status === to ? null : { from: state.status, to, at: now, reason: to === "up" ? "ping" : "fail" };
  return { ...ended({ ...state, status: to, lastPingAt: now }, kind, rid, now), flip };
}

/**
 * Ends the pending run. A success with another run's id leaves it pending: with ids only the latest
 * start is watched.
 */
function ended(state: HeartbeatState, kind: PingKind, rid: string | null, now: EpochMs): Omit<HeartbeatChange, "flip"> {
  const { lastStartAt, lastStartRid } = state;
  if (lastStartAt === null) return { state, durationMs: null };
  const none = { lastStartAt: null, lastStartRid: null };
  if (rid === lastStartRid) {
    // The clock may have been set back meanwhile.
    const durationMs = Math.max(0, now - lastStartAt);
    return { state: { ...state, ...none, lastDurationMs: durationMs }, durationMs };
  }
  const isEnded = kind === "fail" || rid === null;
  return { state: isEnded ? { ...state, ...none } : state, durationMs: null };
}

/** The state of an overdue heartbeat. The flip has the due time, not the time it was found. */
export function afterTimeout(plan: PingPlan, state: HeartbeatState, dueAt: EpochMs): HeartbeatChange {
  const { lastStartAt } = state;
  const isRun = lastStartAt !== null && lastStartAt + plan.graceMs === dueAt;
  const flip: Flip = { from: state.status, to: "down", at: dueAt, reason: isRun ? "run-too-long" : "timeout" };
  return { state: { ...state, status: "down" }, flip, durationMs: null };
}

/** @returns null for one that is paused already */
export function paused(state: HeartbeatState, now: EpochMs): HeartbeatChange | null {
  if (state.status === "paused") return null;
  const flip: Flip = { from: state.status, to: "paused", at: now, reason: "pause" };
  return { state: { ...state, status: "paused", lastStartAt: null, lastStartRid: null }, flip, durationMs: null };
}

/** @returns null for one that is not paused */
export function resumed(state: HeartbeatState, now: EpochMs): HeartbeatChange | null {
  if (state.status !== "paused") return null;
  const flip: Flip = { from: "paused", to: "new", at: now, reason: "resume" };
  const cleared = { lastPingAt: null, lastStartAt: null, lastStartRid: null };
  return { state: { ...state, ...cleared, status: "new" }, flip, durationMs: null };
}

/** Whether a flip opens the alert, resolves it, or leaves it. */
export function alertOf({ from, to }: Pick<Flip, "from" | "to">): "open" | "resolve" | null {
  if (to === "down") return "open";
  return from === "down" ? "resolve" : null;
}

/** The last time when pings could arrive again, and how long they could not before. */
export interface Back {
  readonly at: EpochMs;
  readonly downMs: number;
}

/** Now, and since when pings can arrive. */
export interface StatusTime {
  readonly now: EpochMs;
  readonly back: Back;
}

export const NEVER_AWAY: Back = { at: 0, downMs: 0 };

/**
 * The due time that counts after a down time of the server or a jump of the clock: nothing reached
 * it meanwhile, so each heartbeat gets that long again, but not more than its grace.
 */
export function fairDueAt(dueAt: EpochMs, graceMs: number, back: Back): EpochMs {
  return Math.max(dueAt, back.at + Math.min(graceMs, back.downMs));
}

export interface HeartbeatEvent {
  readonly projectId: string;
  readonly type: "heartbeat.down" | "heartbeat.up";
  readonly level: "warn" | "info";
  readonly payload: Readonly<Record<string, Json>>;
}

/** The name for people. */
export function shownName({ name, slug, id }: Pick<HeartbeatRow, "name" | "slug" | "id">): string {
  return name || slug || id;
}

interface Labelled {
  readonly name: string;
  readonly slug: string;
  readonly tags: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly channels: readonly string[];
}

/** Those of the alert of a heartbeat. */
export function alertLabels({ name, slug, tags, labels, channels }: Labelled): Record<string, string> {
  return { alertname: "HeartbeatDown", ...labels, heartbeat: name, slug, tags, channels: channels.join(",") };
}

/** The alert of a heartbeat that went down, or its end. */
export function alertInput(row: HeartbeatRow, flip: Flip, action: "open" | "resolve", now: EpochMs): AlertInput {
  const name = shownName(row);
  return {
    projectId: row.projectId,
    source: "heartbeat",
    sourceId: row.id,
    key: `hb:${row.id}`,
    labels: alertLabels({
      ...{ name, slug: row.slug, tags: row.tags },
      ...{ labels: Heartbeat.value(row, "labels"), channels: Heartbeat.value(row, "channels") },
    }),
    annotations: { summary: `${name} is down`, description: reasonText(row, flip) },
    severity: row.severity,
    startsAt: Math.min(flip.at, now),
    ...(action === "resolve" ? { endsAt: now } : {}),
    resolvesAtOnce: true,
  };
}

function reasonText({ fedBy }: HeartbeatRow, { reason }: Flip): string {
  if (fedBy !== null && reason === "timeout") return `No firing alert that matches ${fedBy} was reported in time`;
  if (fedBy !== null && reason === "fail") return `The alert that matches ${fedBy} was resolved`;
  return REASON_TEXT[reason] ?? "";
}

const REASON_TEXT: Partial<Record<Flip["reason"], string>> = {
  timeout: "It sent no ping in time",
  "run-too-long": "A run started and did not end in time",
  fail: "It reported a failure",
};

/** The event of a flip with an alert. */
export function eventOf(row: HeartbeatRow, { to, at, reason }: Flip): HeartbeatEvent {
  const { id, name, slug, tags, projectId } = row;
  const isDown = to === "down";
  return {
    projectId,
    type: isDown ? "heartbeat.down" : "heartbeat.up",
    level: isDown ? "warn" : "info",
    payload: {
      heartbeatId: id,
      name,
      slug,
      tags: tags.split(" ").filter(Boolean),
      at: new Date(at).toISOString(),
      reason,
    },
  };
}

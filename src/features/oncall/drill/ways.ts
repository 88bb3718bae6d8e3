import type { Config } from "../../../config/load.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { INCIDENT_PRIORITY, pagedChannels } from "../../alerts/index.ts";
import { namesOfWays, type PersonWay } from "../../delivery/index.ts";
import { addressesOf, PROOF_MS } from "./unproven.ts";

/** Needs of drills. */
export interface DrillParts
  extends Uses<"db" | "clock" | "log" | "audit" | "notify" | "users" | "projects" | "pages" | "pagePeople" | "waysOf"> {
  /** The settings in use. */
  settings(): Pick<Config, "drill" | "publicUrl">;
}

/* The ways of people, and when the last drill of each was accepted and confirmed. */

/** Results of the drills of a way. Durations are from the start of the drill. */
export interface Way {
  readonly userId: string;
  readonly target: string;
  readonly channel: PersonWay["channel"];
  /** Such as "mail", or "channel Telegram". */
  readonly name: string;
  /** The last confirmation by the person. */
  readonly confirmed: Moment | null;
  /** The last time that the provider accepted the message. */
  readonly accepted: Moment | null;
  /** The last drill failed, or has neither arrived nor failed yet. */
  readonly failed: { readonly at: EpochMs; readonly error: string } | null;
  readonly isWaiting: boolean;
}

interface Moment {
  readonly at: EpochMs;
  readonly afterMs: number;
}

/** `outdated`: it was confirmed, longer than 14 days ago. */
export const PROOF_STATES = ["proven", "failed", "waiting", "accepted", "outdated", "unproven"] as const;

export function stateOf({ confirmed, accepted, failed, isWaiting }: Way, now: EpochMs): (typeof PROOF_STATES)[number] {
  if (failed) return "failed";
  if (confirmed && now - confirmed.at <= PROOF_MS) return "proven";
  if (isWaiting) return "waiting";
  if (accepted && now - accepted.at <= PROOF_MS) return "accepted";
  return confirmed ? "outdated" : "unproven";
}

/** Whether a tap has shown within 14 days that pages reach the owner of the ways. */
export function isProven(ways: readonly Way[], now: EpochMs): boolean {
  return ways.some((way) => stateOf(way, now) === "proven");
}

/** The ways by which pages of high urgency go to these users, with what drills have shown. */
export async function waysOfUsers(
  { waysOf }: Pick<DrillParts, "waysOf">,
  db: ReadDb | Trx,
  userIds: readonly string[],
): Promise<Way[]> {
  const groups = new Map<string, string[]>();
  for (const [userId, channels] of await pagedChannels(db, userIds)) {
    const key = JSON.stringify(channels);
    groups.set(key, [...(groups.get(key) ?? []), userId]);
  }
  const ways: PersonWay[] = [];
  for (const [channels, users] of groups)
    ways.push(...(await waysOf(db, users, { projectId: null, priority: INCIDENT_PRIORITY.high, channels })));
  if (ways.length === 0) return [];
  const names = await namesOfWays(
    db,
    ways.map((way) => ({ ...way, kind: "delivery" })),
  );
  const addresses = await addressesOf(
    db,
    ways.map(({ target }) => target),
  );
  const rows = await lastResults(db, [...new Set(ways.map(({ userId }) => userId))]);
  return ways.map(({ userId, target, channel }) => {
    const own = rows.filter((row) => row.target === target && row.address === addresses.get(target));
    return { userId, target, channel, name: names.get(target)?.short ?? channel, ...resultOf(own) };
  });
}

type Result = Awaited<ReturnType<typeof lastResults>>[number];

/** The ways of the last drills of users, the newest first. */
function lastResults(db: ReadDb | Trx, userIds: readonly string[]) {
  return db
    .selectFrom("drill_ways as w")
    .leftJoin("pages as p", "p.id", "w.id")
    .select(["w.target", "w.address", "w.startedAt", "w.confirmedAt"])
    .select(["p.deliveredAt", "p.failedAt", "p.lastError", "p.endedAt"])
    .where("w.userId", "in", userIds)
    .orderBy("w.startedAt", "desc")
    .limit(ROWS_PER_USER * userIds.length)
    .execute();
}

const ROWS_PER_USER = 200;

function resultOf(rows: readonly Result[]): Pick<Way, "confirmed" | "accepted" | "failed" | "isWaiting"> {
  const [last] = rows;
  const arrived = (row: Result): boolean => row.deliveredAt !== null || row.confirmedAt !== null;
  const confirmed = rows.find(({ confirmedAt }) => confirmedAt !== null);
  const accepted = rows.find(({ deliveredAt }) => deliveredAt !== null);
  const failedAt = last && !arrived(last) ? last.failedAt : null;
  return {
    confirmed: momentOf(confirmed, confirmed?.confirmedAt),
    accepted: momentOf(accepted, accepted?.deliveredAt),
    failed: failedAt === null ? null : { at: failedAt, error: last?.lastError ?? "" },
    isWaiting: last !== undefined && !arrived(last) && last.endedAt === null,
  };
}

function momentOf(row: Result | undefined, at: EpochMs | null | undefined): Moment | null {
  return row && at ? { at, afterMs: Math.max(0, at - row.startedAt) } : null;
}

/** Such as "proven 6 days ago, 3.1 s", "accepted today, not confirmed" or "no proof". */
export function proofText(way: Way, now: EpochMs): string {
  const { confirmed, accepted, failed } = way;
  switch (stateOf(way, now)) {
    case "failed":
      return `failed ${ago(failed?.at ?? now, now)}: ${failed?.error ?? ""}`;
    case "waiting":
      return "a drill is under way";
    case "accepted":
      return `accepted ${ago(accepted?.at ?? now, now)}, not confirmed`;
    case "unproven":
      return "no proof";
    default:
      return `proven ${ago(confirmed?.at ?? now, now)}, ${durationText(confirmed?.afterMs ?? 0)}`;
  }
}

/** For the notice of a shift: whether pages are known to reach the person. */
export function proofSentence(ways: readonly Way[], now: EpochMs): string {
  const list = ways.map((way) => `${way.name} ${proofText(way, now)}`).join("; ");
  if (isProven(ways, now)) return `Pages reach you: ${list}.`;
  return `No drill has shown within 14 days that pages reach you: ${list || "no way outside of the app"}.`;
}

function ago(at: EpochMs, now: EpochMs): string {
  const ms = Math.max(0, now - at);
  if (ms < MINUTE_MS) return "just now";
  const units = [
    [DAY_MS, "day"],
    [HOUR_MS, "hour"],
    [MINUTE_MS, "minute"],
  ] as const;
  const [unit, name] = units.find(([each]) => ms >= each) ?? [MINUTE_MS, "minute"];
  return `${countText(Math.floor(ms / unit), name)} ago`;
}

/** `3.1 s`, `4 min`, `2 h`. */
function durationText(ms: number): string {
  if (ms < MINUTE_MS) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 2 * HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${Math.round(ms / HOUR_MS)} h`;
}

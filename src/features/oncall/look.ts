import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import type { Trx } from "../../store/database.ts";
import type { Counts, FinalShift, Roster } from "./model/layers.ts";
import * as queries from "./queries.ts";
import type { OnCallContext } from "./schedules.ts";
import type { OnCallRow } from "./schema.ts";

/** A schedule at an instant at which something of it is due. */
export interface DueSchedule {
  readonly trx: Trx;
  readonly schedule: OnCallRow;
  readonly roster: Roster;
  readonly counts: Counts;
  readonly shifts: readonly FinalShift[];
  readonly now: EpochMs;
}

/** Gaps and conflicts are searched this far ahead, and a longer lead of a notice is not possible. */
export const AHEAD_MS = 14 * DAY_MS;
export const SOURCE = "prism:oncall";
/** Findings of one search that get an event each. */
export const MAX_LISTED = 20;
/** Of on-call notices. */
export const NOTICE_PRIORITY = 300;

interface Notice {
  readonly title: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** @returns the id of the notification; null without recipients */
export async function send(
  { notify }: OnCallContext,
  { trx, schedule: { id, projectId } }: Pick<DueSchedule, "trx" | "schedule">,
  recipients: readonly string[],
  { data, ...texts }: Notice,
): Promise<string | null> {
  if (recipients.length === 0) return null;
  const input = { ...texts, recipients, projectId, priority: NOTICE_PRIORITY, data: { scheduleId: id, ...data } };
  return (await notify.send({ ...input, kind: "oncall" }, { trx })).id;
}

/** The active users who may change the schedule. */
export async function editorsOf({ projects, users }: OnCallContext, trx: Trx, { projectId }: OnCallRow) {
  return users.reachable(await queries.editorsOf(trx, projectId, projects.defaultId), projectId);
}

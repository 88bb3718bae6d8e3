import { rowsOf, type Trx } from "../../../store/database.ts";
import type { PageRow } from "../../delivery/index.ts";

/*
 * What the pages of an incident say about whom it reaches. Overtaken ones, which may be many, are not
 * read: the conditions repeat those of the indexes `pages_waiting` and `pages_answered`. Pusher is a
 * live connection of the app; the end of an incident pages no one.
 */

const MAY_REACH = `select 1 from pages where incidentId = ? and endedAt is null and failedAt is null
  and userId is coalesce(?, userId) and channel is not 'pusher' and isEnd = 0 limit 1`;

/** Whether a page of the incident may still reach someone. @param userId only this person */
export async function mayReach(trx: Trx, incidentId: string, userId: string | null = null): Promise<boolean> {
  return (await rowsOf(trx, MAY_REACH, [incidentId, userId])).length > 0;
}

const HAS_REACHED = `select 1 from pages where incidentId = ? and outcome in ('delivered', 'failed')
  and outcome = 'delivered' and userId is coalesce(?, userId) and channel is not 'pusher' and isEnd = 0 limit 1`;

/** Whether a page of the incident was accepted outside of the app. @param userId only for this person */
export async function hasReached(trx: Trx, incidentId: string, userId: string | null = null): Promise<boolean> {
  return (await rowsOf(trx, HAS_REACHED, [incidentId, userId])).length > 0;
}

const HAS_READ = `select 1 from pages p join notification_recipients r on r.notificationId = p.notificationId
  where p.incidentId = ? and (p.isEnd = 0 or p.id = ?) and p.channel is not 'pusher' and r.readAt is not null limit 1`;

/** Whether a person has read what a page of the incident, or this page, brings. */
export async function hasRead(trx: Trx, { incidentId, id }: PageRow): Promise<boolean> {
  return (await rowsOf(trx, HAS_READ, [incidentId, id])).length > 0;
}

const FAILED = `select channel, target from pages
  where incidentId = ? and endedAt is null and failedAt is not null and channel is not 'pusher'
  union select channel, target from pages
  where incidentId = ? and outcome in ('delivered', 'failed') and outcome = 'failed' and channel is not 'pusher'`;

/** Where pages of the incident have failed, each once. */
export function failedPlaces(trx: Trx, incidentId: string): Promise<Pick<PageRow, "channel" | "target">[]> {
  return rowsOf(trx, FAILED, [incidentId, incidentId]);
}

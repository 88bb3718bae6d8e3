import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import type { Trx } from "../../../store/database.ts";
import { INCIDENT_PRIORITY, pagedChannels } from "../../alerts/index.ts";
import { DRILL, namesOfWays, type PageFollower, type PageRow } from "../../delivery/index.ts";
import { addressesOf } from "./unproven.ts";
import type { DrillParts } from "./ways.ts";

/*
 * A drill is a page to one person that is about no incident. From contact rules on it goes the way of
 * a notice of high urgency: notification, preferences, the sender of pages, the provider. No row of
 * an incident exists, so lists, figures, webhooks, status pages and reports of incidents have none.
 */

const TITLE = "Drill: tap to confirm that pages reach you";
/** After all waiting pages of incidents of high urgency. */
const LAST = 9;
const FAILED_PRIORITY = 500;
const FAILED_CHANNELS = ["in_app", "pusher", "fcm", "apns", "webpush", "email", "service"];

export interface StartedDrill {
  readonly id: string;
  /** How many ways have a message. */
  readonly ways: number;
}

/** Starts a drill of a person now. @param startedBy a user's id, or `operator`; null: the weekly plan */
export async function startDrill(
  parts: DrillParts,
  trx: Trx,
  userId: string,
  startedBy: string | null,
): Promise<StartedDrill> {
  const { clock, notify, pages, pagePeople } = parts;
  const now = clock.now();
  const id = uuidv7();
  const all = (await pagedChannels(trx, [userId])).get(userId) ?? [];
  const channels = JSON.stringify(all.filter((each) => each !== "pusher"));
  const stored = notificationRow({ ...textOf(parts, id), channels, createdAt: now, correlationId: id });
  await notify.store(stored, [userId], trx, { isPaged: true });
  const facts = { incidentId: id, projectId: "", urgency: "high", severity: LAST, reason: DRILL, step: null } as const;
  const planned = await pagePeople(trx, stored, [userId], facts);
  await pages.add(trx, planned.pages);
  await trx.insertInto("drills").values({ id, userId, startedBy, notificationId: stored.id, startedAt: now }).execute();
  const sent = planned.pages.filter(({ skipped }) => !skipped);
  const names = await namesOfWays(trx, sent);
  const addresses = await addressesOf(
    trx,
    sent.map(({ target }) => target),
  );
  for (const { id: wayId, target, channel } of sent) {
    const name = names.get(target)?.short ?? "";
    const address = addresses.get(target) ?? "";
    const way = { id: wayId, drillId: id, userId, target, address, name, channel: channel ?? "" };
    await trx
      .insertInto("drill_ways")
      .values({ ...way, startedAt: now, confirmedAt: null })
      .execute();
  }
  return { id, ways: sent.length };
}

/** The kind is that of incidents: preferences treat it as one. */
function textOf({ settings }: DrillParts, drillId: string) {
  const base = settings().publicUrl?.replace(/\/+$/, "");
  const ask =
    base === undefined
      ? "This server has no `publicUrl`, so the message has no link to confirm it."
      : "Open this message and tap Confirm: it proves that pages reach you this way.";
  return {
    kind: "incident",
    title: TITLE,
    message: `This is a drill: nothing is broken. ${ask}`,
    priority: INCIDENT_PRIORITY.high,
    action:
      base === undefined
        ? null
        : JSON.stringify({ type: "open", label: "Your ways", url: `${base}/dashboard/account` }),
    data: JSON.stringify({ drillId, source: "prism:drill", labels: { prism_drill: "true" } }),
  } as const;
}

/**
 * A person tapped the link of a way. The first tap counts.
 * @throws TOKEN_INVALID if the drill is no longer kept, or the account not active
 */
export async function confirmWay({ db, clock, audit }: DrillParts, wayId: string): Promise<void> {
  await db.write(async (trx) => {
    const way = await trx
      .selectFrom("drill_ways as w")
      .innerJoin("users as u", "u.id", "w.userId")
      .select(["w.drillId", "w.userId", "w.channel", "w.confirmedAt"])
      .where("w.id", "=", wayId)
      .where("u.status", "=", "active")
      .where("u.deletedAt", "is", null)
      .executeTakeFirst();
    if (!way) throw new PrismError("TOKEN_INVALID", "The drill no longer exists, or the account is not active");
    if (way.confirmedAt !== null) return;
    await trx.updateTable("drill_ways").set({ confirmedAt: clock.now() }).where("id", "=", wayId).execute();
    const { drillId, userId, channel } = way;
    const entry = { action: "drill.confirm", resourceType: "drill", resourceId: drillId, byUser: userId } as const;
    await audit.record({ ...entry, metadata: { channel } }, { trx });
  });
}

/** A way that fails in a drill is not tried again: its message would arrive later, at any hour. */
export function drillFollower(parts: DrillParts): PageFollower {
  return {
    async failed(trx, pages) {
      const own = pages.filter(({ reason }) => reason === DRILL);
      for (const drillId of new Set(own.map(({ incidentId }) => incidentId))) {
        const failed = own.filter(({ incidentId }) => incidentId === drillId);
        const ids = new Set(failed.map(({ id }) => id));
        await parts.pages.overtake(trx, drillId, "it failed in a drill", ({ id }) => ids.has(id));
        await reportFailed(parts, trx, failed);
      }
    },
  };
}

/** Tells the person by the other ways. */
async function reportFailed({ notify, users, clock }: DrillParts, trx: Trx, pages: readonly PageRow[]): Promise<void> {
  const [first] = pages;
  if (!first || first.userId === null || users.reachable([first.userId], null).length === 0) return;
  const names = await namesOfWays(trx, pages);
  const lines = pages.map(({ target, lastError }) => `- ${names.get(target)?.short ?? target}: ${lastError ?? ""}`);
  const channels = FAILED_CHANNELS.filter((each) => !pages.some(({ channel }) => channel === each));
  const stored = notificationRow({
    kind: "direct",
    title: "Drill: pages do not reach you by every way",
    message: ["A drill failed for:", ...lines, "An incident would use your other ways."].join("\n"),
    priority: FAILED_PRIORITY,
    channels: JSON.stringify(channels),
    data: JSON.stringify({ drillId: first.incidentId }),
    createdAt: clock.now(),
  });
  await notify.store(stored, [first.userId], trx, {});
}

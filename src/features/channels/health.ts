import { addEffect, type Trx } from "../../store/database.ts";
import { Refused } from "../delivery/index.ts";
import type { ChannelRow } from "./channel.ts";
import type { ChannelsContext } from "./sending/sender.ts";
import { findChannel, updateChannel } from "./store.ts";

/* Failures of channels. None disables one: only the word of its service that it is gone does. */

type HealthContext = Pick<ChannelsContext, "db" | "audit" | "clock" | "log" | "notify" | "changed">;

/** Consecutive failures at which the owner of a channel is notified that its service refuses every message. */
const NOTICES_AT: ReadonlySet<number> = new Set([1, 10, 100]);

/** Counts consecutive failures, for show. The owner is notified of refusals, which only a person can mend. */
export async function recordFailure(context: HealthContext, id: string, error: unknown): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  await context.db
    .write(async (trx) => {
      const row = await trx
        .updateTable("channels")
        .set(({ eb }) => ({ failures: eb("failures", "+", 1) }))
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirst();
      if (!row || !(error instanceof Refused) || !NOTICES_AT.has(row.failures)) return;
      await notifyOwner(context, row, trx, {
        title: `The channel ${row.name} does not work`,
        message: `Its service refuses every message: ${reason}. Correct its fields; Prism keeps trying.`,
      });
    })
    .catch(notCounted(context, id));
}

/** Writes only after a failure, which is rare. */
export async function recordSuccess(context: HealthContext, id: string): Promise<void> {
  const { db } = context;
  const row = await db.read.selectFrom("channels").select("failures").where("id", "=", id).executeTakeFirst();
  if (!row || row.failures === 0) return;
  await db.write((trx) => updateChannel(trx, id, { failures: 0 })).catch(notCounted(context, id));
}

/** The service's answer counts even if it cannot be stored. */
function notCounted({ log }: HealthContext, channelId: string): (error: unknown) => void {
  return (error) => log.warn({ channelId, err: error }, "cannot store the failures of a channel");
}

/** The owner is notified by other ways. @returns whether it was active */
export async function disableChannel(context: HealthContext, id: string, reason: string, trx: Trx): Promise<boolean> {
  const { audit, clock, log } = context;
  const now = clock.now();
  const row = await findChannel(trx, id);
  if (row?.active !== 1) return false;
  const version = row.version + 1;
  await updateChannel(trx, id, { active: 0, disabledAt: now, disabledReason: reason, updatedAt: now, version });
  await audit.record(
    { action: "channel.disable", resourceType: "channel", resourceId: id, metadata: { reason, version } },
    { trx },
  );
  log.warn({ channelId: id, preset: row.preset, reason }, "disabling a channel");
  const { projectId, userId, name } = row;
  addEffect(trx, { type: "announced", event: "channel:disabled", data: { id, name, projectId, userId, reason } });
  await notifyOwner(context, row, trx, {
    title: `The channel ${name} is disabled`,
    message: `Prism no longer sends to it: ${reason}. Correct its fields and enable it again.`,
  });
  context.changed();
  return true;
}

async function notifyOwner(
  { notify, log }: HealthContext,
  row: ChannelRow,
  trx: Trx,
  notice: { readonly title: string; readonly message: string },
): Promise<void> {
  const owner = row.userId ?? row.createdBy;
  const account =
    owner === null
      ? undefined
      : await trx
          .selectFrom("users")
          .select("id")
          .where("id", "=", owner)
          .where("status", "=", "active")
          .where("deletedAt", "is", null)
          .executeTakeFirst();
  if (!account) {
    log.warn({ channelId: row.id }, "a failing channel has no owner to notify");
    return;
  }
  await notify.send(
    {
      recipients: [account.id],
      ...notice,
      priority: 500,
      data: { channelId: row.id, preset: row.preset },
      channels: ["in_app", "pusher", "fcm", "apns", "webpush"],
    },
    { trx },
  );
}

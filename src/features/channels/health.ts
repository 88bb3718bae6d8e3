import { addEffect, type Trx } from "../../store/database.ts";
import type { ChannelsContext } from "./context.ts";
import { type ChannelRow, findChannel, MAX_FAILURES, updateChannel } from "./store.ts";

/* Failures of channels, and what ends in disabling one. */

type HealthContext = Pick<ChannelsContext, "database" | "audit" | "clock" | "log" | "notify" | "changed">;

/** Counts consecutive failures; too many disable a channel. @returns whether this did */
export async function recordFailure(context: HealthContext, id: string, error: string): Promise<boolean> {
  return context.database.write(async (trx) => {
    const row = await trx
      .updateTable("channels")
      .set(({ eb }) => ({ failures: eb("failures", "+", 1) }))
      .where("id", "=", id)
      .returning("failures")
      .executeTakeFirst();
    if (!row || row.failures < MAX_FAILURES) return false;
    return disableChannel(context, id, `it has failed ${row.failures} times in a row: ${error}`, trx);
  });
}

/** Writes only after a failure, which is rare. */
export async function recordSuccess({ database }: HealthContext, id: string): Promise<void> {
  const row = await database.read.selectFrom("channels").select("failures").where("id", "=", id).executeTakeFirst();
  if (row && row.failures > 0) await database.write((trx) => updateChannel(trx, id, { failures: 0 }));
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
  log.warn({ channelId: id, preset: row.preset, reason }, "a channel is being disabled");
  const { projectId, userId, name } = row;
  addEffect(trx, { type: "announced", event: "channel:disabled", data: { id, name, projectId, userId, reason } });
  await notifyOwner(context, row, reason, trx);
  context.changed();
  return true;
}

async function notifyOwner({ notify, log }: HealthContext, row: ChannelRow, reason: string, trx: Trx): Promise<void> {
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
    log.warn({ channelId: row.id }, "a disabled channel has no owner who could be notified");
    return;
  }
  await notify.send(
    {
      recipients: [account.id],
      title: `The channel ${row.name} is disabled`,
      message: `Prism no longer sends to it: ${reason}. Mend its fields and enable it again.`,
      priority: 500,
      data: { channelId: row.id, preset: row.preset },
      channels: ["in_app", "pusher", "fcm", "apns", "webpush"],
    },
    { trx },
  );
}

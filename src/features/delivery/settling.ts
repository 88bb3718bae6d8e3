import { sql } from "kysely";
import type { Clock } from "../../core/clock.ts";
import type { Trx } from "../../store/database.ts";
import type { OutsideChannel } from "../../store/schema.ts";
import type { AuditService } from "../audit/index.ts";

export interface SettlingParts {
  readonly audit: AuditService;
  readonly clock: Clock;
}

/** Notes that a notification has nothing more to do by a channel (contract 7, step 9; 12.10): one audit row a channel, with counts. */
export class Settling {
  readonly #parts: SettlingParts;

  constructor(parts: SettlingParts) {
    this.#parts = parts;
  }

  /** To be called in the transaction in which a delivery ends, and in the one in which planning does. */
  async settle(notificationId: string, channel: OutsideChannel, trx: Trx): Promise<void> {
    if (await isOpen(notificationId, channel, trx)) return;
    const { audit, clock } = this.#parts;
    const counts = await trx
      .selectFrom("deliveries")
      .select((e) => ["state", e.fn.countAll<number>().as("count")])
      .where("notificationId", "=", notificationId)
      .where("channel", "=", channel)
      .groupBy("state")
      .execute();
    const of = (state: string): number => counts.find((each) => each.state === state)?.count ?? 0;
    const resource = { resourceType: "notification", resourceId: notificationId };
    const metadata = { channel, delivered: of("delivered"), failed: of("dead"), skipped: of("skipped") };
    if (metadata.delivered > 0) {
      await audit.record({ action: "notification.delivered", ...resource, metadata }, { trx });
      await noteReached(notificationId, clock.now(), trx);
    }
    if (metadata.failed > 0) await audit.record({ action: "notification.failed", ...resource, metadata }, { trx });
  }
}

async function isOpen(notificationId: string, channel: OutsideChannel, trx: Trx): Promise<boolean> {
  const { rows } = await sql<{ open: 0 | 1 }>`
    select exists (
      select 1 from deliveries where notificationId = ${notificationId} and channel = ${channel} and state in ('queued', 'sending', 'failed')
    ) or exists (
      select 1 from jobs where queue = 'notification-delivery' and finishedAt is null
        and dedupeKey in ('deliver:' || ${notificationId}, 'recipients:' || ${notificationId})
    ) as open`.execute(trx);
  return rows[0]?.open === 1;
}

/** A notification is delivered when each of its recipients has it: live, or by a channel that leads out. */
async function noteReached(notificationId: string, now: number, trx: Trx): Promise<void> {
  await sql`
    update notifications set delivered = 1, deliveredAt = ${now} where id = ${notificationId} and delivered = 0 and not exists (
      select 1 from notification_recipients r where r.notificationId = notifications.id and r.delivered = 0 and not exists (
        select 1 from deliveries d where d.notificationId = r.notificationId and d.userId = r.userId and d.state = 'delivered'
      )
    )`.execute(trx);
}

import type { LiveSettings } from "../../http/live-settings.ts";
import { type NamedSweep, type RetentionRule, sweepOf } from "../../store/retention.ts";
import { ACCOUNT_SWEEPS } from "../access/index.ts";
import { type AuditSweepParts, auditSweep } from "../audit/index.ts";
import { DELIVERY_SWEEPS } from "../delivery/index.ts";
import { EVENT_SWEEPS, eventSweep } from "../events/index.ts";
import { JOB_SWEEPS } from "../jobs/index.ts";
import { MESSAGE_SWEEPS } from "../messages/index.ts";
import { notificationSweep } from "../notifications/index.ts";
import { SUPPRESSION_SWEEPS } from "../rules/index.ts";
import { STREAM_SWEEPS } from "../streams/index.ts";

const idempotencyKeys: RetentionRule<{ scope: string; key: string }> = {
  name: "idempotency_keys",
  find: (scan, now, limit) =>
    scan
      .selectFrom("idempotency_keys")
      .select(["scope", "key"])
      .where("expiresAt", "<=", now)
      .orderBy("expiresAt")
      .limit(limit)
      .execute(),
  async remove(trx, keys, now) {
    let removed = 0;
    for (const { scope, key } of keys) {
      // A key whose time is over may have been used again.
      const { numDeletedRows } = await trx
        .deleteFrom("idempotency_keys")
        .where("scope", "=", scope)
        .where("key", "=", key)
        .where("expiresAt", "<=", now)
        .executeTakeFirst();
      removed += Number(numDeletedRows);
    }
    return removed;
  },
};

/** What needs no configuration. */
export const FIXED_SWEEPS: readonly NamedSweep[] = [
  sweepOf(idempotencyKeys),
  ...JOB_SWEEPS,
  ...EVENT_SWEEPS,
  ...STREAM_SWEEPS,
  ...SUPPRESSION_SWEEPS,
  ...ACCOUNT_SWEEPS,
  ...MESSAGE_SWEEPS,
  ...DELIVERY_SWEEPS,
];

export interface SweepsParts extends Omit<AuditSweepParts, "days"> {
  readonly settings: Pick<LiveSettings, "retention">;
}

/** The sweeps of all tables. Notifications and events come last: they are most of the work. */
export function allSweeps({ audit, dataDir, settings }: SweepsParts): NamedSweep[] {
  return [
    ...FIXED_SWEEPS,
    auditSweep({ audit, dataDir, days: () => settings.retention.auditDays }),
    notificationSweep(() => settings.retention.notificationDays),
    eventSweep(() => settings.retention.days),
  ];
}

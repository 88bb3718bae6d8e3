import { daysBefore, sweepRows } from "../../store/retention.ts";

const DELIVERY_DAYS = 30;

/** Finished deliveries. Those that wait for a sender's time or a provider stay. */
const deliveries = sweepRows("deliveries", (db, now) =>
  db
    .selectFrom("deliveries")
    .select("id")
    .where("updatedAt", "<=", daysBefore(now, DELIVERY_DAYS))
    .where("state", "in", ["delivered", "dead", "skipped"]),
);

const mails = sweepRows("sealed_mails", (db, now) =>
  db.selectFrom("sealed_mails").select("id").where("expiresAt", "<=", now),
);

export const DELIVERY_SWEEPS = [deliveries, mails];

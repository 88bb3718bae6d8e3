import type { Config } from "../../../config/load.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { MINUTE_MS } from "../../../core/time/clock.ts";
import { drillLink } from "../../channels/mail/acknowledge.ts";
import type { Attempt, NotificationFacts } from "../channel.ts";
import type { PageRow } from "./page.ts";
import { DRILL } from "./page.ts";

/** Nothing of a drill is sent later: it would arrive in the night. */
const DRILL_MS = 15 * MINUTE_MS;

export function isDrillOver({ reason, createdAt }: PageRow, now: EpochMs): boolean {
  return reason === DRILL && now - createdAt >= DRILL_MS;
}

/** Whether a notification is that of a drill: it has the preferences of incidents, and is about none. */
export function isDrillNotification({ kind, data }: Pick<NotificationFacts, "kind" | "data">): boolean {
  if (kind !== "incident" || data === null) return false;
  return typeof (JSON.parse(data) as { readonly drillId?: unknown }).drillId === "string";
}

/** The attempt with a link that names its way: a tap on it proves this way and no other. */
export function withConfirmLink<A extends Pick<Attempt, "delivery" | "notification">>(
  config: Pick<Config, "publicUrl" | "secrets">,
  attempt: A,
  now: EpochMs,
): A {
  const { delivery, notification } = attempt;
  if (!isDrillNotification(notification)) return attempt;
  const url = drillLink(config, { deliveryId: delivery.id, notificationId: notification.id }, now);
  const action = url === undefined ? null : JSON.stringify({ type: "open", label: "Confirm", url });
  return { ...attempt, notification: { ...notification, action } };
}

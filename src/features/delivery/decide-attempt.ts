import type { Clock, EpochMs } from "../../core/clock.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { AttemptEnds, AttemptJob } from "./attempt-ends.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { Circuits } from "./circuits.ts";
import type { DeliveryFacts } from "./find-delivery.ts";
import { heldUntil, isPush, type Preferences } from "./preferences.ts";
import type { DeliveryReason } from "./reasons.ts";
import type { Sender } from "./sender.ts";
import type { Senders } from "./senders.ts";

export interface DecidingParts {
  readonly clock: Clock;
  readonly senders: Senders;
  readonly circuits: Circuits;
  readonly settings: LiveSettings;
  readonly ends: AttemptEnds;
}

/** What an attempt goes by. The circuit has let it through, and must be told how it ended. */
export interface Way {
  readonly sender: Sender;
  readonly circuit: CircuitBreaker;
}

/** Asks what may have changed since the plan was made. @returns undefined when the attempt has ended by that, or waits. */
export async function decideAttempt(
  { clock, senders, circuits, settings, ends }: DecidingParts,
  job: AttemptJob,
  found: DeliveryFacts,
): Promise<Way | undefined> {
  const { delivery, notification, user } = found;
  const { channel } = delivery;
  const now = clock.now();
  const sender = senders.get(channel);
  const obstacle = obstacleOf(found, now, settings.delivery.pushAlways);
  if (!sender || obstacle) {
    await ends.skip(job, found, obstacle ?? "channel not configured");
    return undefined;
  }
  const prefs = JSON.parse(user.prefs) as Preferences;
  const quietUntil = heldUntil(prefs, user.timezone, channel, notification, now);
  if (quietUntil !== null) {
    await ends.postpone(job, found, quietUntil, "quiet hours");
    return undefined;
  }
  const circuit = circuits.of(sender, delivery.target);
  const waitMs = circuit.waitMs();
  if (waitMs === 0) return { sender, circuit };
  await ends.waitFor(job, found, now + waitMs);
  return undefined;
}

/** Why nothing is to be sent any more. */
function obstacleOf(
  { delivery, notification, recipient, user }: DeliveryFacts,
  now: EpochMs,
  pushAlways: boolean,
): DeliveryReason | null {
  if (user.status !== "active" || user.deletedAt !== null) return "recipient not active";
  if (recipient.deletedAt !== null) return "deleted by recipient";
  if (notification.expiresAt !== null && notification.expiresAt <= now) return "expired";
  if (isPush(delivery.channel) && recipient.delivered === 1 && !pushAlways) return "delivered live";
  return null;
}

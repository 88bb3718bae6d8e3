import { RuleNotices, type StormParts, Storms } from "../notifications/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import { addSenders, type SenderParts } from "./add-senders.ts";
import { Circuits } from "./circuits.ts";
import { Delivery, type DeliveryMemory, type DeliveryParts } from "./delivery.ts";
import type { Senders } from "./senders.ts";

export interface OpenDeliveryParts
  extends Omit<SenderParts, "log">,
    Omit<DeliveryParts, "circuits" | "log" | "mail">,
    Omit<StormParts, "notices"> {
  readonly realtime: RealtimeService;
  readonly log: SenderParts["log"];
}

export interface DeliveryServices {
  readonly senders: Senders;
  readonly circuits: Circuits;
  readonly deliveryMemory: DeliveryMemory;
}

/** How notifications come to people besides the live streams; and what tells them of storms. */
export function openDelivery(parts: OpenDeliveryParts): DeliveryServices {
  const { senders, clock, metrics, notify } = parts;
  const log = parts.log.namespace("delivery");
  const { mail } = addSenders(senders, { ...parts, log });
  const circuits = new Circuits(clock, log, metrics);
  const deliveryMemory = new Delivery({ ...parts, log, circuits, mail }).begin();
  const notices = new RuleNotices({ ...parts, notifier: notify });
  new Storms({ ...parts, notices });
  return { senders, circuits, deliveryMemory };
}

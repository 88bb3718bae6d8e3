import { join } from "node:path";
import type { Bus } from "../../core/bus.ts";
import type { Metrics } from "../../core/metrics.ts";
import { originOf } from "../../core/tokens.ts";
import type { ModuleChannel } from "../../module/module-api.ts";
import { type Channels, safeFetchOf } from "../delivery/index.ts";
import type { JobRunner } from "../jobs/index.ts";
import { PresetBook } from "./book.ts";
import type { ChannelsContext } from "./context.ts";
import { serviceChannel } from "./delivery-channel.ts";
import { channelsForIncidents, type IncidentChannels } from "./for-incidents.ts";
import { presetOfModule } from "./module-channel.ts";
import { ChannelOutbox } from "./outbox.ts";
import { Rates } from "./sending/rates.ts";
import { hasActiveChannel } from "./store.ts";

interface ServiceParts extends Omit<ChannelsContext, "book" | "sender" | "changed"> {
  readonly metrics: Metrics;
  readonly runner: JobRunner;
  readonly bus: Bus;
  /** The channels of deliveries, to which `service` is added. */
  readonly channels: Channels;
}

/** Sending to chat, push and paging services. */
export interface ServiceChannels {
  readonly context: ChannelsContext;
  readonly outbox: ChannelOutbox;
  readonly incidents: IncidentChannels;
  /** @returns its removal. @throws TypeError, ValiError */
  addModuleChannel(channel: ModuleChannel): () => void;
}

export function openServiceChannels(parts: ServiceParts): ServiceChannels {
  const { database, clock, metrics, channels, bus, settings } = parts;
  const config = settings();
  const log = parts.log.namespace("channels");
  const calls = metrics.counter("prism_channel_calls_total", "Requests to services by preset and class of the answer");
  const fetch = safeFetchOf(config);
  const book = new PresetBook(join(config.dataDir, "presets", "channels"), log);
  bus.on("system:reloaded", () => book.reload());
  // Until the first look, as if there were channels: planning then finds none.
  let isUsed = true;
  const look = async (): Promise<void> => {
    isUsed = await hasActiveChannel(database.read);
    channels.reload();
  };
  const changed = (): void => {
    look().catch((error: unknown) => log.warn({ err: error }, "the channels could not be read"));
  };
  const context: ChannelsContext = {
    ...parts,
    log,
    book,
    changed,
    sender: {
      fetch,
      clock,
      rates: new Rates(clock),
      origin: originOf(config.secrets.access),
      count: (preset, outcome) => calls({ preset, class: outcome }).add(1),
    },
  };
  channels.add(serviceChannel(context, () => isUsed));
  changed();
  const outbox = new ChannelOutbox(context, parts.runner);
  return {
    context,
    outbox,
    incidents: channelsForIncidents(context, outbox),
    addModuleChannel: (channel) => book.addOfModule(presetOfModule(channel)),
  };
}

import { join } from "node:path";
import { originOf } from "../../core/tokens.ts";
import type { Context } from "../../module/feature.ts";
import type { ModuleChannel } from "../../module/module-api.ts";
import { safeFetchOf } from "../delivery/index.ts";
import { PresetBook } from "./book.ts";
import type { ChannelsContext } from "./context.ts";
import { serviceChannel } from "./delivery-channel.ts";
import { channelsForIncidents } from "./for-incidents.ts";
import { presetOfModule } from "./module-channel.ts";
import { ChannelOutbox } from "./outbox.ts";
import { Rates } from "./sending/rates.ts";
import { hasActiveChannel } from "./store.ts";

/** Sending to chat, push and paging services. */
export interface ServiceChannels {
  readonly context: ChannelsContext;
  readonly outbox: ChannelOutbox;
  readonly incidents: ReturnType<typeof channelsForIncidents>;
  /** @returns its removal. @throws TypeError, ValiError */
  addModuleChannel(channel: ModuleChannel): () => void;
}

export function openServiceChannels(
  parts: Context<"jobs" | "runner" | "notify" | "pages" | "channels">,
): ServiceChannels {
  const { db, clock, metrics, channels, events, config } = parts;
  const log = parts.log.namespace("channels");
  const calls = metrics.counter("prism_channel_calls_total", "Requests to services by preset and class of the answer");
  const fetch = safeFetchOf(config);
  const book = new PresetBook(join(config.dataDir, "presets", "channels"), log);
  events.on("system:reloaded", () => book.reload());
  // Until the first look, as if there were channels: planning then finds none.
  let isUsed = true;
  const look = async (): Promise<void> => {
    isUsed = await hasActiveChannel(db.read);
    channels.reload();
  };
  const changed = (): void => {
    look().catch((error: unknown) => log.warn({ err: error }, "cannot read the channels"));
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

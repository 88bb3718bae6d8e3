import { join } from "node:path";
import { originOf } from "../../core/crypto/tokens.ts";
import type { Context } from "../../module/feature.ts";
import type { ModuleChannel } from "../../module/module-api.ts";
import type { Trx } from "../../store/database.ts";
import type { ChannelsOfIncidents, IncidentMessage, WebhookAccess } from "../alerts/index.ts";
import { channelAcknowledgeLink, safeFetchOf } from "../delivery/index.ts";
import { PermanentError } from "../time/jobs/index.ts";
import { buttonToken } from "./buttons.ts";
import { serviceChannel } from "./delivery-channel.ts";
import { SAMPLE } from "./fields.ts";
import { opened, recordAccepted } from "./messages.ts";
import { presetOfModule } from "./module-channel.ts";
import { ChannelOutbox } from "./outbox.ts";
import { buildRequest, tlsOf } from "./sending/request.ts";
import { type ChannelsContext, Rates } from "./sending/sender.ts";
import { deleteChannelsOf, findChannel, hasActiveChannel, PresetBook } from "./store.ts";

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
      calls: metrics.counter("prism_channel_calls_total", "Requests to services by preset and class of the answer"),
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

/** Messages of incidents, sent by the steps of policies to the channels of the incident's project. */
function channelsForIncidents(context: ChannelsContext, outbox: ChannelOutbox): ChannelsOfIncidents {
  return {
    async send(trx, projectId, message) {
      const project = await trx.selectFrom("projects").select("name").where("id", "=", projectId).executeTakeFirst();
      const notice = { ...message.notice, ...buttonOf(context, message), project: project?.name };
      const { incidentId, page } = message;
      return outbox.enqueue(trx, { ...message, notice }, { ...page, incidentId, projectId });
    },
    async acknowledgeUrl(trx, channelId, incidentId, now) {
      const channel = await findChannel(trx, channelId);
      if (channel?.acknowledgeLink !== 1) return undefined;
      return channelAcknowledgeLink(context.settings.current, { channelId, incidentId }, now);
    },
    accessFor: (channelId, projectId, url) => accessFor(context, channelId, projectId, url),
    deleteOf: deleteChannelsOf,
  };
}

async function accessFor(
  context: ChannelsContext,
  channelId: string,
  projectId: string,
  url: string,
): Promise<WebhookAccess> {
  const row = await findChannel(context.db.read, channelId);
  if (!row || row.projectId !== projectId) throw new PermanentError("the channel of its credentials is gone");
  if (row.active === 0) throw new PermanentError(`the channel ${row.name} is disabled`);
  const channel = await opened(context, row);
  const { preset, fields } = channel;
  // Who writes policies must not send the secrets of a channel to another host.
  if (!preset.custom || new URL(fields["url"] ?? "").origin !== new URL(url).origin)
    throw new PermanentError(`the channel ${row.name} is not for this address`);
  const { headers } = buildRequest(preset, preset.send, {
    ...{ n: SAMPLE, field: fields, id: channelId, now: context.clock.now() },
  });
  const { "Content-Type": _type, "Idempotency-Key": _key, ...access } = headers;
  const accepted = (trx: Trx): Promise<void> => recordAccepted(trx, channel, context.clock.now());
  return { headers: access, tls: tlsOf(fields), accepted };
}

/** A message with a link may have a button, which some services need a secret for. */
function buttonOf(
  { settings, clock }: ChannelsContext,
  { channelId, incidentId, notice }: IncidentMessage,
): { readonly ackToken?: string; readonly hookUrl?: string } {
  const config = settings.current;
  if (notice.ackUrl === undefined || config.publicUrl === undefined) return {};
  return {
    ackToken: buttonToken(config, { channelId, incidentId }, clock.now()),
    hookUrl: `${config.publicUrl.replace(/\/+$/, "")}/hooks/channels/${channelId}`,
  };
}

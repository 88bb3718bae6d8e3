import type { EpochMs } from "../../core/clock.ts";
import type { Trx } from "../../store/database.ts";
import { channelAcknowledgeLink, type TlsOptions } from "../delivery/index.ts";
import { PermanentError } from "../jobs/index.ts";
import { buttonToken } from "./buttons.ts";
import type { ChannelsContext } from "./context.ts";
import { SAMPLE } from "./fields.ts";
import { opened, recordAccepted } from "./messages.ts";
import type { ChannelMessage, ChannelOutbox, MessagePage } from "./outbox.ts";
import { buildRequest, tlsOf } from "./sending/request.ts";
import { findChannel } from "./store.ts";

export interface IncidentMessage extends ChannelMessage {
  readonly incidentId: string;
  readonly page: Pick<MessagePage, "step" | "reason" | "urgency">;
}

/** Messages of incidents, sent by the steps of policies to the channels of the incident's project. */
export interface IncidentChannels {
  /** Adds a page. A channel that is gone, disabled, or of another project is a failed way. @returns its id */
  send(trx: Trx, projectId: string, message: IncidentMessage): Promise<string>;
  /** A link that acknowledges an incident without a login; undefined: the channel has none. */
  acknowledgeUrl(trx: Trx, channelId: string, incidentId: string, now: EpochMs): Promise<string | undefined>;
  /**
   * What a webhook step at `url` takes from a channel of the preset `http`.
   * @throws PermanentError if it is gone, disabled, of another project, or for another host
   */
  accessFor(channelId: string, projectId: string, url: string): Promise<WebhookAccess>;
}

export interface WebhookAccess {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions | undefined;
  accepted(trx: Trx): Promise<void>;
}

export function channelsForIncidents(context: ChannelsContext, outbox: ChannelOutbox): IncidentChannels {
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
      return channelAcknowledgeLink(context.settings(), { channelId, incidentId }, now);
    },
    accessFor: (channelId, projectId, url) => accessFor(context, channelId, projectId, url),
  };
}

async function accessFor(
  context: ChannelsContext,
  channelId: string,
  projectId: string,
  url: string,
): Promise<WebhookAccess> {
  const row = await findChannel(context.database.read, channelId);
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
  const config = settings();
  if (notice.ackUrl === undefined || config.publicUrl === undefined) return {};
  return {
    ackToken: buttonToken(config, { channelId, incidentId }, clock.now()),
    hookUrl: `${config.publicUrl.replace(/\/+$/, "")}/hooks/channels/${channelId}`,
  };
}

import type { EpochMs } from "../../core/clock.ts";
import type { Trx } from "../../store/database.ts";
import { channelAcknowledgeLink } from "../delivery/index.ts";
import { buttonToken } from "./buttons.ts";
import type { ChannelsContext } from "./context.ts";
import type { ChannelMessage, ChannelOutbox, MessagePage } from "./outbox.ts";
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
  };
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

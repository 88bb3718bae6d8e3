import type { Trx } from "../../store/database.ts";
import type { ChannelsOfIncidents, IncidentMessage, WebhookAccess } from "../alerts/index.ts";
import { channelAcknowledgeLink } from "../delivery/index.ts";
import { PermanentError } from "../time/jobs/index.ts";
import { buttonToken } from "./buttons.ts";
import type { ChannelsContext } from "./context.ts";
import { SAMPLE } from "./fields.ts";
import { opened, recordAccepted } from "./messages.ts";
import type { ChannelOutbox } from "./outbox.ts";
import { buildRequest, tlsOf } from "./sending/request.ts";
import { deleteChannelsOf, findChannel } from "./store.ts";

/** Messages of incidents, sent by the steps of policies to the channels of the incident's project. */
export function channelsForIncidents(context: ChannelsContext, outbox: ChannelOutbox): ChannelsOfIncidents {
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

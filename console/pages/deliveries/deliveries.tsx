import type { ChannelState, DeliveryItem } from "../../../src/client/api-types.gen.ts";
import type { Entry } from "../../../src/client/views.ts";
import { href } from "../../app/base.ts";
import { dateFilter, ownFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, Button, type Column, Late, optionsOf, plural, Time, UserText } from "../../ui/index.ts";
import { ChannelCards } from "./channel-cards.tsx";
import { CHANNELS, recipientOf, STATES } from "./delivery-types.ts";
import { retryDead } from "./retry-dead.ts";

const COLUMNS: readonly Column<DeliveryItem>[] = [
  { label: "Notification", cell: ({ title }) => <UserText lines={1}>{title ?? "removed"}</UserText>, card: "title" },
  { label: "To", cell: (delivery) => <UserText lines={1}>{recipientOf(delivery)}</UserText> },
  { label: "Channel", cell: ({ channel }) => <span class="nowrap">{CHANNELS[channel]}</span> },
  {
    label: "Last error",
    cell: ({ lastError, reason }) => <UserText lines={1}>{lastError ?? reason ?? ""}</UserText>,
    card: "text",
    priority: 3,
  },
  { label: "State", cell: ({ state }) => <Badge {...STATES[state]} />, card: "aside" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
];

const FILTERS = {
  state: selectFilter("State", optionsOf("Any state", { waiting: "unfinished", ...STATES })),
  channel: selectFilter("Channel", optionsOf("All channels", CHANNELS)),
  from: dateFilter("From"),
  notification: ownFilter("notification", null, "notificationId"),
  webhook: ownFilter("webhook", null, "webhookId"),
};
const EMPTY = { title: "Nothing was sent yet", text: "Mails, pushes and webhook calls of notifications appear here." };

/** Mails, pushes and webhooks that were sent. */
export default function Deliveries() {
  const list = useListOf<DeliveryItem, typeof FILTERS>("/deliveries", FILTERS);
  const channels = useGet<{ channels: readonly ChannelState[] }>(can("system:status") ? "/deliveries/channels" : null);
  const reload = () => {
    list.reload();
    channels.reload();
  };
  const take = ({ type }: Entry) => (type === "jobs.changed" || type.startsWith("provider.")) && reload();
  useStream(can("system:status") ? "system" : null, take, reload);
  const retry = <Button onClick={() => retryDead(list.values)}>Retry failed deliveries</Button>;
  return (
    <ListPage<DeliveryItem>
      of={list}
      title="Deliveries"
      subtitle={subtitleOf(channels.data?.channels)}
      noun="delivery"
      columns={COLUMNS}
      actions={can("jobs:manage") ? retry : undefined}
      rowHref={({ id }) => href(`/deliveries/${id}`)}
      rowTone={(delivery) => (delivery.state === "dead" ? "bad" : undefined)}
      empty={EMPTY}
      unmatched={{ title: "No delivery matches", text: "Change the filters." }}
    >
      <Late query={channels}>{({ channels: known }) => <ChannelCards channels={known} />}</Late>
    </ListPage>
  );
}

function subtitleOf(channels: readonly ChannelState[] | undefined): string {
  if (!channels) return "Messages sent by mail, push and webhook.";
  const stopped = channels.filter(({ state }) => state === "paused" || state === "failing");
  const isTried = channels.every(({ state, lastSuccessAt }) => state !== "ok" || lastSuccessAt !== null);
  const waiting = channels.reduce((sum, channel) => sum + channel.waiting, 0);
  const start =
    stopped.length > 0
      ? `${stopped.map(({ name }) => CHANNELS[name]).join(" and ")}: not working`
      : isTried
        ? "Every channel in use works"
        : "No channel fails";
  return `${start}; ${plural(waiting, "delivery waits", "deliveries wait")}.`;
}

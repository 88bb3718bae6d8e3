import type { ChannelState, DeliveryItem } from "../../../src/client/api-types.gen.ts";
import type { Entry } from "../../../src/client/views.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { useStream } from "../../app/live.ts";
import { invalidate, useGet, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  type Column,
  confirm,
  DataTable,
  DateTimeInput,
  EmptyState,
  optionsOf,
  Page,
  plural,
  Select,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";
import { ChannelCards } from "./channel-cards.tsx";
import { CHANNELS, recipientOf, STATES } from "./delivery-types.ts";

const COLUMNS: readonly Column<DeliveryItem>[] = [
  { label: "Notification", cell: ({ title }) => <UserText lines={1}>{title ?? "removed"}</UserText>, card: "title" },
  { label: "To", cell: (delivery) => <span class="ellipsis">{recipientOf(delivery)}</span> },
  { label: "Channel", cell: ({ channel }) => <span class="nowrap">{CHANNELS[channel]}</span> },
  {
    label: "Last error",
    cell: ({ lastError, reason }) => <UserText lines={1}>{lastError ?? reason ?? ""}</UserText>,
    card: "text",
    priority: 3,
  },
  { label: "State", cell: ({ state }) => <Badge {...STATES[state]} />, card: "aside" },
  { label: "Time", cell: ({ updatedAt }) => <Time at={updatedAt} />, align: "end" },
];

const STATE_OPTIONS = optionsOf("Any state", { waiting: "unfinished", ...STATES });
const CHANNEL_OPTIONS = optionsOf("All channels", CHANNELS);

/** Mails, pushes and webhooks that were sent. */
export default function Deliveries() {
  const filters = useFilters({ state: "", channel: "", from: "", notification: "", webhook: "" });
  const { notification: notificationId, webhook: webhookId, ...others } = filters.values;
  const filter = { ...others, notificationId, webhookId };
  const list = useList<DeliveryItem>("/deliveries", { ...filter, limit: 50 });
  const channels = useGet<{ channels: readonly ChannelState[] }>(can("system:status") ? "/deliveries/channels" : null);
  const reload = () => {
    list.reload();
    channels.reload();
  };
  const take = ({ type }: Entry) => (type === "jobs.changed" || type.startsWith("provider.")) && reload();
  useStream(can("system:status") ? "system" : null, take, reload);
  const { isFiltered } = filters;
  return (
    <Page
      title="Deliveries"
      subtitle={subtitleOf(channels.data?.channels)}
      actions={
        can("jobs:manage") ? <Button onClick={() => retryDead(filter)}>Retry failed deliveries</Button> : undefined
      }
    >
      {channels.data && <ChannelCards channels={channels.data.channels} />}
      <Toolbar>
        <Select {...filters.bind("state")} options={STATE_OPTIONS} label="State" />
        <Select {...filters.bind("channel")} options={CHANNEL_OPTIONS} label="Channel" />
        <DateTimeInput {...filters.bind("from")} label="From" />
      </Toolbar>
      <DataTable<DeliveryItem>
        label="Deliveries"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/deliveries/${id}`)}
        rowTone={(delivery) => (delivery.state === "dead" ? "bad" : undefined)}
        empty={
          <EmptyState
            title={isFiltered ? "No delivery matches" : "Nothing was sent yet"}
            text={isFiltered ? "Change the filters." : "Mails, pushes and webhook calls of notifications appear here."}
          />
        }
      />
    </Page>
  );
}

function subtitleOf(channels: readonly ChannelState[] | undefined): string {
  if (!channels) return "Messages sent by mail, push and webhook.";
  const stopped = channels.filter(({ state }) => state === "paused" || state === "failing");
  const waiting = channels.reduce((sum, channel) => sum + channel.waiting, 0);
  const start =
    stopped.length > 0
      ? `${stopped.map(({ name }) => CHANNELS[name]).join(" and ")}: not working`
      : "Every channel in use works";
  return `${start}; ${plural(waiting, "delivery waits", "deliveries wait")}.`;
}

interface Filter {
  readonly channel: string;
  readonly from: string;
  readonly notificationId: string;
  readonly webhookId: string;
}

/** Counts the failed deliveries of the filter, asks, and retries them. */
async function retryDead({ channel, from, notificationId, webhookId }: Filter): Promise<void> {
  const filter = {
    ...(channel === "" ? {} : { channel: [channel] }),
    ...(from === "" ? {} : { from }),
    ...(notificationId === "" ? {} : { notificationId }),
    ...(webhookId === "" ? {} : { webhookId }),
  };
  const { matched } = await api.post<{ matched: number }>("/deliveries/retry", { filter, dryRun: true });
  if (matched === 0) return toast.info("No delivery of this selection has failed.");
  const title = `Retry ${plural(matched, "failed delivery", "failed deliveries")}?`;
  const text = "Recipients may get old notifications now.";
  if (!(await confirm({ title, text, action: `Retry ${matched}` }))) return;
  const { retried } = await api.post<{ retried: number }>("/deliveries/retry", { filter });
  toast.ok(`${plural(retried, "delivery is", "deliveries are")} attempted again.`);
  invalidate("/deliveries", "/attention");
}

import { Inbox } from "lucide";
import type { NotificationSummary } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { searchFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListFilters } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useRefresh } from "../../app/refresh.ts";
import { can } from "../../app/session.ts";
import { Badge, type Column, DataTable, EmptyState, Time, UserText } from "../../ui/index.ts";
import { plainText } from "../explain/words.ts";
import { KIND_OPTIONS, kindName, URGENT } from "./notification-types.ts";

const STATES = [
  { value: "", label: "Any state" },
  { value: "unseen", label: "Seen by no recipient" },
  { value: "unacknowledged", label: "Not acknowledged" },
  { value: "seen", label: "Seen" },
  { value: "acknowledged", label: "Acknowledged" },
  { value: "undelivered", label: "Not delivered" },
];
const FILTERS = {
  q: searchFilter(undefined, "Title or message"),
  state: selectFilter("State", STATES),
  kind: selectFilter("Kind", KIND_OPTIONS),
};
const COLUMNS: readonly Column<NotificationSummary>[] = [
  {
    label: "Notification",
    cell: ({ title, message, kind }) => (
      <>
        <UserText>{title}</UserText>
        <span class="inbox-message">
          <UserText lines={1}>{kind === "aggregate" ? plainText(message) : message}</UserText>
        </span>
      </>
    ),
    card: "title",
    width: "wide",
  },
  {
    label: "From",
    cell: ({ ruleName, kind }) => <UserText lines={1}>{ruleName ?? kindName(kind)}</UserText>,
    priority: 2,
  },
  { label: "People", cell: ({ counts }) => <People counts={counts} />, card: "aside" },
  { label: "Sent", cell: ({ createdAt }) => <Time at={createdAt} />, width: "min" },
];

function People({ counts: { recipients, seen, acknowledged } }: Pick<NotificationSummary, "counts">) {
  if (acknowledged > 0)
    return (
      <Badge tone="ok">
        {acknowledged} of {recipients} acknowledged
      </Badge>
    );
  return (
    <Badge tone={seen === 0 && recipients > 0 ? "warn" : "plain"}>
      {seen} of {recipients} seen
    </Badge>
  );
}

const EVERY_MS = 5000;

/** The notifications of all users, for operators. Its filters are part of the address. */
export function AllNotifications() {
  const list = useListOf<NotificationSummary>("/notifications/all", FILTERS);
  const announce = useRefresh(list.reload, EVERY_MS);
  useStream("user:me", announce, announce);
  useStream(can("system:status") ? "system" : null, announce);
  return (
    <div class="stack">
      <ListFilters of={list} />
      <DataTable<NotificationSummary>
        label="Notifications of all users"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/inbox/${id}`)}
        rowTone={({ priority, counts }) => (priority >= URGENT && counts.acknowledged === 0 ? "bad" : undefined)}
        empty={
          <EmptyState
            icon={Inbox}
            title={list.isFiltered ? "No notification matches these filters" : "No notifications yet"}
            text={
              list.hasMore
                ? "Older ones may match: load more."
                : "Notifications of all users appear here as rules and programs send them."
            }
          />
        }
      />
    </div>
  );
}

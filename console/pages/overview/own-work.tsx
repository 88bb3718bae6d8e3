import { Inbox, ListTodo, Mail } from "lucide";
import type { Message, Notification } from "../../../src/client/api-types.gen.ts";
import type { Page } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useReconnected, useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Card, DataTable, EmptyState, Time, UserText } from "../../ui/index.ts";
import { useInbox } from "../inbox/live-inbox.ts";

const SHOWN = 6;

/** The user's unread notifications, tasks and messages. */
export function OwnWork() {
  return (
    <div class="stack">
      <OwnNotifications />
      <div class="grid2">
        {can("tasks:own") && <OwnTasks />}
        {can("messages:own") && <OwnMessages />}
      </div>
    </div>
  );
}

function OwnNotifications() {
  const list = useInbox("unread");
  const unread = list.items?.filter(({ read }) => !read).slice(0, SHOWN);
  return (
    <Card title="Unread notifications" link={{ href: href("/inbox"), text: "Inbox" }} flush>
      <DataTable<Notification>
        label="Unread notifications"
        rows={unread}
        columns={[
          { label: "Notification", cell: ({ title }) => <UserText lines={2}>{title}</UserText> },
          { label: "Received", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end", cardLabel: false },
        ]}
        rowHref={({ id }) => href(`/inbox/${id}`)}
        error={list.error}
        retry={list.reload}
        bare
        empty={
          <EmptyState small icon={Inbox} title="Nothing unread" text="New notifications appear here as they arrive." />
        }
      />
    </Card>
  );
}

interface Task {
  readonly id: string;
  readonly title: string;
  readonly dueAt: string | null;
}

function OwnTasks() {
  const query = useGet<Page<Task>>("/tasks", { status: "TODO,IN_PROGRESS", sort: "dueAt", limit: SHOWN });
  useStream("tasks:me", query.reload, query.reload);
  useReconnected(query.reload);
  return (
    <Card title="Open tasks" link={{ href: href("/tasks"), text: "All tasks" }} flush>
      <DataTable<Task>
        label="Open tasks"
        rows={query.data?.data}
        columns={[
          { label: "Task", cell: ({ title }) => <UserText lines={2}>{title}</UserText> },
          { label: "Due", cell: ({ dueAt }) => <Time at={dueAt} empty="" />, align: "end", cardLabel: false },
        ]}
        error={query.error}
        retry={query.reload}
        bare
        empty={
          <EmptyState small icon={ListTodo} title="No open tasks" text="Tasks that you or programs add appear here." />
        }
      />
    </Card>
  );
}

function OwnMessages() {
  const query = useGet<Page<Message>>("/messages", { box: "inbox", limit: SHOWN });
  useStream("messages:me", query.reload, query.reload);
  useReconnected(query.reload);
  return (
    <Card title="Latest messages" link={{ href: href("/messages"), text: "All messages" }} flush>
      <DataTable<Message>
        label="Latest messages"
        rows={query.data?.data}
        isUnread={({ readAt }) => readAt === null}
        columns={[
          { label: "Message", cell: ({ content }) => <UserText lines={2}>{content ?? "Encrypted"}</UserText> },
          {
            label: "Received",
            cell: ({ deliveredAt, createdAt }) => <Time at={deliveredAt ?? createdAt} />,
            align: "end",
            cardLabel: false,
          },
        ]}
        rowHref={({ id }) => href(`/messages/${id}`)}
        error={query.error}
        retry={query.reload}
        bare
        empty={<EmptyState small icon={Mail} title="No messages" text="Messages from other people appear here." />}
      />
    </Card>
  );
}

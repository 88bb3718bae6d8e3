import type { Message } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { segmentFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { PersonName } from "../../app/person-name.tsx";
import { Badge, type Column, choices, optionsOf, Time, UserText } from "../../ui/index.ts";
import { STATUS } from "./message-types.ts";
import { NewMessage } from "./new-message.tsx";

const FILTERS = {
  box: { ...segmentFilter("Box", choices({ inbox: "Received", sent: "Sent" })), isChoice: true },
  status: selectFilter("Status", optionsOf("Any status", STATUS)),
};

function columns(box: string): readonly Column<Message>[] {
  return [
    {
      label: box === "sent" ? "To" : "From",
      cell: ({ senderId, recipientId }) => <PersonName id={box === "sent" ? recipientId : senderId} isPlain />,
      card: "title",
    },
    {
      label: "Text",
      cell: ({ content }) => <UserText lines={1}>{content ?? ""}</UserText>,
      card: "text",
      width: "wide",
    },
    {
      label: "Status",
      cell: ({ status }) => <Badge {...STATUS[status]} />,
      card: "aside",
    },
    { label: "Delivery", cell: ({ deliverAt }) => <Time at={deliverAt} />, align: "end" },
  ];
}

/** Messages between users, sent now or later. */
export default function Messages() {
  const list = useListOf<Message, typeof FILTERS>("/messages", FILTERS);
  const { box } = list.values;
  useStream("messages:me", list.reload, list.reload);
  const text = box === "sent" ? "Send one now, or for a later time." : "Messages appear here when they are due.";
  return (
    <ListPage<Message>
      of={list}
      title="Messages"
      subtitle={box === "sent" ? "Messages you sent, and when they arrive." : "Messages from other users."}
      noun="message"
      columns={columns(box)}
      make={() => <NewMessage onSent={list.reload} />}
      rowHref={({ id }) => href(`/messages/${id}`)}
      isUnread={(message) => box === "inbox" && message.status === "delivered"}
      empty={{ title: "No message", text, action: undefined }}
      unmatched={{ title: "No message has this status", text }}
    />
  );
}

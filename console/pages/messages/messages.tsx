import { useState } from "preact/hooks";
import type { Message } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { useStream } from "../../app/live.ts";
import { findUsers } from "../../app/people.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  type Column,
  Combobox,
  choices,
  DataTable,
  DateTimeInput,
  Dialog,
  EmptyState,
  Field,
  NewButton,
  openDialog,
  optionsOf,
  Page,
  Segmented,
  Select,
  Textarea,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";
import { STATUS } from "./message-types.ts";

const BOXES = choices({ inbox: "Received", sent: "Sent" });

const STATUS_OPTIONS = optionsOf("Any status", STATUS);

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
  const filters = useFilters({ box: "inbox", status: "" });
  const { box } = filters.values;
  const list = useList<Message>("/messages", { ...filters.values, limit: 50 });
  useStream("messages:me", list.reload, list.reload);
  const write = <NewButton onClick={() => openDialog(<NewMessage onSent={list.reload} />)}>New message</NewButton>;
  return (
    <Page
      title="Messages"
      subtitle={box === "sent" ? "Messages you sent, and when they arrive." : "Messages from other users."}
      actions={write}
    >
      <Toolbar>
        <Segmented label="Box" {...filters.bind("box")} options={BOXES} />
        <Select {...filters.bind("status")} options={STATUS_OPTIONS} label="Status" />
      </Toolbar>
      <DataTable<Message>
        label="Messages"
        list={list}
        columns={columns(box)}
        rowHref={({ id }) => href(`/messages/${id}`)}
        isUnread={(message) => box === "inbox" && message.status === "delivered"}
        empty={
          <EmptyState
            title={filters.values.status === "" ? "No message" : "No message has this status"}
            text={box === "sent" ? "Send one now, or for a later time." : "Messages appear here when they are due."}
          />
        }
      />
    </Page>
  );
}

function NewMessage({ onSent }: { readonly onSent: () => void }) {
  const [recipientId, setRecipient] = useState("");
  const [content, setContent] = useState("");
  const [sendAt, setSendAt] = useState("");
  const send = async () => {
    await api.post("/messages", { recipientId, content, ...(sendAt === "" ? {} : { sendAt }) });
    toast.ok(sendAt === "" ? "The message is on its way." : "The message is scheduled.");
    onSent();
  };
  return (
    <Dialog title="New message" onSubmit={send} action={sendAt === "" ? "Send" : "Schedule"}>
      <Field label="To" hint={can("users:read") ? undefined : "The id of an account."} required>
        <Combobox
          value={recipientId}
          onChange={setRecipient}
          {...(can("users:read") ? { load: findUsers } : { custom: true })}
        />
      </Field>
      <Field label="Text" required>
        <Textarea value={content} onChange={setContent} rows={5} />
      </Field>
      <Field label="Send at" hint="Empty: now." optional>
        <DateTimeInput value={sendAt} onChange={setSendAt} />
      </Field>
    </Dialog>
  );
}

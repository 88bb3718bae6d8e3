import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { findUsers } from "../../app/people.ts";
import { can } from "../../app/session.ts";
import { Combobox, DateTimeInput, Dialog, Field, Textarea, toast } from "../../ui/index.ts";

export function NewMessage({ onSent }: { readonly onSent: () => void }) {
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

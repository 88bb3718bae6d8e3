import type { Message, SendMessage } from "../../../src/client/api-types.gen.ts";
import { findUsers } from "../../app/people.ts";
import { can } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { message } from "../../forms/message.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Combobox, Dialog, toast } from "../../ui/index.ts";

const TEXT: FieldOf<SendMessage> = { name: "content", label: "Text", hint: "", rows: 5 };
const WHEN: FieldOf<SendMessage> = { name: "sendAt", label: "Send at", hint: "Empty: now." };

export function NewMessage({ onSent }: { readonly onSent: () => void }) {
  const form = useResource<SendMessage, Message>(message);
  const { sendAt = "" } = form.values;
  const send = async () => {
    if ((await form.send(sendAt === "" ? { sendAt: undefined } : {})) === undefined) return false;
    toast.ok(sendAt === "" ? "The message is on its way." : "The message is scheduled.");
    onSent();
  };
  const people = can("users:read") ? { load: findUsers } : { custom: true };
  const to: FieldOf<SendMessage> = {
    name: "recipientId",
    label: "To",
    hint: can("users:read") ? "" : "The id of an account.",
    required: true,
    as: (value = "", change) => <Combobox value={value} onChange={change} {...people} />,
  };
  return (
    <Dialog title="New message" onSubmit={send} action={sendAt === "" ? "Send" : "Schedule"}>
      <Fields of={form} show={[to, TEXT, WHEN]} />
    </Dialog>
  );
}

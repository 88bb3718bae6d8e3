import { useState } from "preact/hooks";
import type { CreateTimer } from "../../../src/client/api-types.gen.ts";
import { invalidate } from "../../app/query.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { timer } from "../../forms/timer.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog, Field, Textarea, toast } from "../../ui/index.ts";

const TITLE: FieldOf<CreateTimer> = { name: "label", label: "Title", hint: "Of the notification.", autoFocus: true };
const TIME: FieldOf<CreateTimer> = { name: "runAt", label: "Fires at", required: true };

/** A reminder for oneself; other actions need the API. */
export function NewTimer() {
  const [message, setMessage] = useState("");
  const form = useResource<CreateTimer, { readonly id: string }>(timer);
  const { label = "", runAt = "" } = form.values;
  const create = async () => {
    const action = { type: "notify", payload: { userId: "me", title: label, message } } as const;
    if ((await form.send({ action })) === undefined) return false;
    invalidate("/timers");
    toast.ok("The timer is set.");
  };
  return (
    <Dialog
      title="New timer"
      subtitle="It notifies you."
      size="sm"
      onSubmit={create}
      action="Set timer"
      blocked={label.trim() === "" || message.trim() === "" || runAt === ""}
    >
      <Fields of={form} show={[TITLE]} />
      <Field label="Text" required>
        <Textarea value={message} onChange={setMessage} rows={3} />
      </Field>
      <Fields of={form} show={[TIME]} />
    </Dialog>
  );
}

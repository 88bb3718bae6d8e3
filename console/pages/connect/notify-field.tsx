import type { CreateReceiver, Receiver } from "../../../src/client/api-types.gen.ts";
import { api, errorText, ifMatch } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { receiver } from "../../forms/receiver.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { toast } from "../../ui/index.ts";

/** Who is notified of events that match no rule. */
export const NOTIFY: FieldOf<CreateReceiver> = {
  name: "notify",
  label: "Who is notified",
  words: {
    members: "The project's members, until a rule takes over",
    none: "No one: events are stored for rules",
  },
};

interface NotifyProps {
  readonly value: Receiver["notify"];
  readonly onChange: (next: Receiver["notify"]) => void;
}

/** {@link NOTIFY}, saved at once. */
export function NotifyField({ value, onChange }: NotifyProps) {
  const change = ({ notify = value }: Partial<CreateReceiver>) => onChange(notify);
  return <Fields of={editedOf(receiver, { notify: value }, change)} show={[NOTIFY]} />;
}

export async function saveNotify(receiver: Receiver, notify: Receiver["notify"]): Promise<void> {
  try {
    await api.patch(`/receivers/${receiver.id}`, { notify }, ifMatch(receiver));
  } catch (error) {
    toast.error(errorText(error));
    return;
  } finally {
    invalidate("/receivers");
  }
  toast.ok(notify === "members" ? "The project's members are notified." : "No one is notified; events are stored.");
}

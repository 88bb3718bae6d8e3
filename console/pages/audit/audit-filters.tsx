import { useQueryState } from "../../app/navigate.ts";
import { findUsers, type Named, personName } from "../../app/people.ts";
import { useGet } from "../../app/query.ts";
import { Combobox, Switch } from "../../ui/index.ts";

interface Props {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** Everything that one person did. */
export function PersonFilter({ value, onChange }: Props) {
  const person = useGet<Named>(value === "" ? null : `/users/${value}`).data;
  return (
    <Combobox
      label="By"
      placeholder="Anyone"
      value={value}
      onChange={onChange}
      options={person ? [{ value, label: personName(person) }] : []}
      load={findUsers}
      clearable
    />
  );
}

/** Finds actions by the beginning that a person types. */
export function beginning(text: string): string {
  const found = /[a-z_]+(\.[a-z_]*)?/.exec(text.toLowerCase())?.[0];
  return found === undefined ? "" : `${found}*`;
}

type Chosen = Readonly<Record<"action" | "resource" | "notifications", string>>;

/** A search by name finds them, whatever the switch says. */
export function isWithNotifications({ action, resource, notifications }: Chosen): boolean {
  return notifications !== "" || resource !== "" || action.startsWith("notification");
}

export function NotificationsSwitch({ value, onChange }: Props) {
  const [action] = useQueryState("action");
  const [resource] = useQueryState("resource");
  const isShown = isWithNotifications({ action, resource, notifications: value });
  return (
    <Switch
      label="Notifications"
      checked={isShown}
      disabled={value === "" && isShown}
      onChange={(isOn) => onChange(isOn ? "shown" : "")}
    />
  );
}

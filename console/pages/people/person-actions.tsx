import type { User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { navigate } from "../../app/navigate.ts";
import { personName } from "../../app/people.ts";
import { invalidate } from "../../app/query.ts";
import { Button, confirm, Menu, type MenuEntry, toast } from "../../ui/index.ts";
import { loginOf } from "./person-types.ts";

export function PersonActions({ person, changed }: { readonly person: User; readonly changed: () => void }) {
  const isDisabled = person.status === "disabled";
  const setStatus = async () => {
    const text = "All its sessions, tokens and live connections end now. Nothing is deleted.";
    if (
      !isDisabled &&
      !(await confirm({ title: `Disable ${personName(person)}?`, text, action: "Disable", danger: true }))
    )
      return;
    await api.patch(`/users/${person.id}`, { status: isDisabled ? "active" : "disabled" });
    toast.ok(isDisabled ? `${personName(person)} can sign in again.` : `${personName(person)} is disabled.`);
    changed();
  };
  const remove = async () => {
    const text =
      "The account, its sessions, tokens and devices are deleted. Its past actions stay in the audit trail without a name.";
    const typed = loginOf(person);
    await confirmDelete(
      `/users/${person.id}`,
      { title: `Delete ${personName(person)}?`, text, typed, done: "The account is deleted." },
      () => {
        invalidate("/users");
        navigate("/people");
      },
    );
  };
  const name = personName(person);
  const path = `/users/${person.id}`;
  const signOut = async () => {
    const text = "All its sessions and live connections end now. It can sign in again.";
    if (!(await confirm({ title: `Sign ${name} out everywhere?`, text, action: "Sign out everywhere" }))) return;
    await api.post(`${path}/sign-out`);
    toast.ok(`${name} is signed out everywhere.`);
    changed();
  };
  const unlock = async () => {
    await api.post(`${path}/unlock`);
    toast.ok(`${name} can try to sign in again.`);
  };
  const resetFactor = async () => {
    const text = "The password alone is enough to sign in then. Be sure that it is the owner who asks.";
    const title = `Remove the second factor of ${name}?`;
    await confirmDelete(
      `${path}/second-factor`,
      { title, text, action: "Remove", done: `${name} signs in without a second factor now.` },
      changed,
    );
  };
  const items: MenuEntry[] = [
    { label: "Sign out everywhere", onSelect: signOut },
    { label: "Clear failed sign-ins", onSelect: unlock },
    { label: "Remove the second factor", onSelect: resetFactor, disabled: !person.secondFactor?.enabled },
    "separator",
    { label: "Delete", onSelect: remove, danger: true },
  ];
  return (
    <>
      <Menu label="More actions" items={items} />
      {person.status !== "pending" && <Button onClick={setStatus}>{isDisabled ? "Enable" : "Disable"}</Button>}
    </>
  );
}

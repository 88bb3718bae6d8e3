import type { Role, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { personName } from "../../app/people.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  confirm,
  DescriptionList,
  Field,
  Form,
  Input,
  Menu,
  type MenuEntry,
  MultiCombobox,
  Page,
  plural,
  Time,
  toast,
} from "../../ui/index.ts";
import { Decide } from "./decide.tsx";
import { PersonSessions, PersonTokens } from "./person-access.tsx";
import { loginOf, STATUS } from "./person-types.ts";

/** One account: who it is, what it may do, and where it is signed in. */
export default function PersonPage({ params }: PageProps) {
  const query = useGet<User>(`/users/${params["id"]}`);
  return (
    <LoadedPage title="Person" query={query}>
      {(person) => <PersonView person={person} />}
    </LoadedPage>
  );
}

function PersonView({ person }: { readonly person: User }) {
  const isManager = can("users:manage");
  const state = STATUS[person.status];
  const changed = () => invalidate("/users");
  return (
    <Page
      title={personName(person)}
      subtitle={subtitleOf(person)}
      breadcrumb={[{ label: "People", href: href("/people") }]}
      badge={<Badge {...state} />}
      actions={
        <>
          {isManager && person.id !== me.value?.id && <PersonActions person={person} changed={changed} />}
          {person.status === "pending" && can("users:approve") && <Decide person={person} />}
        </>
      }
    >
      <div class="two">
        <div class="stack">
          <Card title="Account">
            {isManager ? <AccountForm person={person} changed={changed} /> : <AccountFacts person={person} />}
          </Card>
          {isManager && <PersonSessions person={person} />}
          {isManager && <PersonTokens person={person} />}
        </div>
        <RolesCard person={person} changed={changed} />
      </div>
    </Page>
  );
}

function subtitleOf({ roles, status }: User): string {
  if (status === "disabled") return "Cannot sign in. Its past actions stay readable.";
  if (status === "pending")
    return "Has registered and waits for approval, or is invited and has not opened the account yet.";
  if (roles.length === 0) return "Has no role: only its own notifications.";
  return `Has the ${roles.length === 1 ? "role" : "roles"} ${roles.join(", ")}.`;
}

function AccountFacts({ person }: { readonly person: User }) {
  const items = [
    { label: "Mail address", value: person.email ?? "none" },
    { label: "Username", value: person.username ?? "none" },
    { label: "Phone number", value: person.phone ?? "none" },
    { label: "Time zone", value: person.timezone ?? "not chosen: that of the browser" },
    { label: "Created", value: <Time at={person.createdAt} /> },
    { label: "Last sign-in", value: <Time at={person.lastLoginAt} empty="never" /> },
  ];
  return <DescriptionList items={items} />;
}

function accountOf({ name, email, username, phone }: User) {
  return { name: name ?? "", email: email ?? "", username: username ?? "", phone: phone ?? "" };
}

function AccountForm({ person, changed }: { readonly person: User; readonly changed: () => void }) {
  const { values, edits, change, saved } = useEdits(accountOf(person));
  const { bind } = controlsOf(values, change);
  const save = async () => {
    saved(accountOf(await api.patch<User>(`/users/${person.id}`, edits)));
    toast.ok("The account is saved.");
    changed();
  };
  return (
    <Form onSubmit={save}>
      <Field label="Name" required>
        <Input {...bind("name")} maxLength={255} autocomplete="off" />
      </Field>
      <Field label="Mail address" optional>
        <Input type="email" {...bind("email")} autocomplete="off" />
      </Field>
      <Field label="Username" optional>
        <Input {...bind("username")} autocomplete="off" />
      </Field>
      <Field label="Phone number" optional hint="With the country code, such as +49 30 1234567.">
        <Input type="tel" {...bind("phone")} autocomplete="off" />
      </Field>
      <div class="spread">
        <span class="muted small">
          Last sign-in: <Time at={person.lastLoginAt} empty="never" />
          {person.secondFactor?.enabled ? ", with a second factor" : ""}
        </span>
        <Button type="submit" disabled={Object.keys(edits).length === 0}>
          Save
        </Button>
      </div>
    </Form>
  );
}

function RolesCard({ person, changed }: { readonly person: User; readonly changed: () => void }) {
  const { values, edits, change } = useEdits<{ readonly roles: readonly string[] }>({ roles: person.roles });
  const { roles } = values;
  const known = useGet<{ data: readonly Role[] }>(can("roles:read") ? "/roles" : null);
  const all = known.data?.data ?? [];
  const granted = new Set(all.filter(({ name }) => roles.includes(name)).flatMap(({ permissions }) => permissions));
  const save = async () => {
    await api.patch(`/users/${person.id}`, { roles });
    toast.ok("The roles are saved. They apply at once.");
    changed();
  };
  if (!can("users:manage")) return <Card title="Roles">{person.roles.join(", ") || "None"}</Card>;
  const options = all.map((role) => ({ value: role.name, label: role.name, hint: role.description }));
  return (
    <Card title="Roles">
      <Form onSubmit={save}>
        <Field label="Roles of this account">
          <MultiCombobox values={roles} onChange={(next) => change({ roles: [...next].sort() })} options={options} />
        </Field>
        {granted.size === 0 ? (
          <p class="muted small">No permission besides its own notifications.</p>
        ) : (
          <details class="muted small">
            <summary>{plural(granted.size, "permission")}</summary>
            {[...granted].sort().join(", ")}
          </details>
        )}
        <Button type="submit" disabled={edits.roles === undefined}>
          Save roles
        </Button>
      </Form>
    </Card>
  );
}

function PersonActions({ person, changed }: { readonly person: User; readonly changed: () => void }) {
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

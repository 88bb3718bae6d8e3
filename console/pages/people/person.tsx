import type { UpdateUser, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useEdits } from "../../app/edits.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { LockedForm, ManagedBadge, ManagedNotice } from "../../app/managed.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { personName } from "../../app/people.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { editedOf } from "../../forms/use-resource.ts";
import { user } from "../../forms/user.gen.ts";
import { Badge, Button, Card, DescriptionList, Form, Page, Time, toast } from "../../ui/index.ts";
import { Decide } from "./decide.tsx";
import { PersonIdentities, PersonSessions, PersonTokens } from "./person-access.tsx";
import { PersonActions } from "./person-actions.tsx";
import { RolesCard } from "./person-roles.tsx";
import { STATUS } from "./person-types.ts";

/** One account: who it is, what it may do, and where it is signed in. */
export default function PersonPage({ params }: PageProps) {
  const query = useGet<User>(`/users/${params["id"]}`);
  return (
    <LoadedPage title="Person" query={query} managedAs="people">
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
      badge={
        <>
          <Badge {...state} />
          <ManagedBadge kind="people" id={person.id} />
        </>
      }
      actions={
        <>
          {isManager && person.id !== me.value?.id && <PersonActions person={person} changed={changed} />}
          {person.status === "pending" && can("users:approve") && <Decide person={person} />}
        </>
      }
    >
      {isManager && <ManagedNotice kind="people" id={person.id} />}
      <div class="two">
        <div class="stack">
          <Card title="Account">
            {isManager ? (
              <LockedForm kind="people" id={person.id}>
                <AccountForm person={person} changed={changed} />
              </LockedForm>
            ) : (
              <AccountFacts person={person} />
            )}
          </Card>
          {isManager && <PersonIdentities person={person} />}
          {isManager && <PersonSessions person={person} />}
          {isManager && <PersonTokens person={person} />}
        </div>
        <LockedForm kind="people" id={person.id}>
          <RolesCard person={person} changed={changed} />
        </LockedForm>
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

const ACCOUNT: readonly FieldOf<UpdateUser>[] = [
  { name: "name", hint: "", required: true, autocomplete: "off" },
  { name: "email", hint: "", autocomplete: "off" },
  { name: "username", hint: "", autocomplete: "off" },
  { name: "phone", hint: "With the country code, such as +49 30 1234567.", autocomplete: "off" },
];

function accountOf({ name, email, username, phone }: User): UpdateUser {
  return { name: name ?? "", email: email ?? "", username: username ?? "", phone: phone ?? "" };
}

function AccountForm({ person, changed }: { readonly person: User; readonly changed: () => void }) {
  const { values, edits, change, saved } = useEdits(accountOf(person));
  const save = async () => {
    saved(accountOf(await api.patch<User>(`/users/${person.id}`, edits)));
    toast.ok("The account is saved.");
    changed();
  };
  return (
    <Form onSubmit={save}>
      <Fields of={editedOf<UpdateUser>(user, values, (part) => change(part as UpdateUser))} show={ACCOUNT} />
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

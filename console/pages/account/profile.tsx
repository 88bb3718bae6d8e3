import { useState } from "preact/hooks";
import type { ReceivedInvitation, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { reloadMe } from "../../app/session.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import {
  Button,
  Card,
  Combobox,
  DescriptionList,
  Field,
  Form,
  Input,
  Loaded,
  Select,
  Skeleton,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { AccountPage, useAccount } from "./account-page.tsx";

export default function Profile() {
  const account = useAccount();
  const user = account.data;
  const subtitle = user && (
    <>
      You are signed in as <UserText>{user.name || user.username || user.email || "yourself"}</UserText>
      {user.roles.length > 0
        ? `, with the ${user.roles.length === 1 ? "role" : "roles"} ${user.roles.join(", ")}.`
        : "."}
    </>
  );
  return (
    <AccountPage tab="profile" subtitle={subtitle}>
      <Invitations />
      <Loaded query={account} skeleton={<Skeleton kind="form" />}>
        {(loaded) => (
          <>
            <ProfileForm key={loaded.id} account={loaded} />
            <Facts account={loaded} />
          </>
        )}
      </Loaded>
    </AccountPage>
  );
}

function profileOf({ name, email, phone, timezone, locale }: User) {
  return { name: name ?? "", email: email ?? "", phone: phone ?? "", timezone: timezone ?? AUTOMATIC, locale };
}

function ProfileForm({ account }: { readonly account: User }) {
  const { values, change, saved } = useEdits(profileOf(account));
  const { name, email, phone, timezone, locale } = values;
  const { bind } = controlsOf(values, change);
  const [currentPassword, setCurrentPassword] = useState("");
  const isOtherEmail = email.trim() !== (account.email ?? "");
  const save = async () => {
    const answer = await api.put<User>("/users/me", {
      ...(name.trim() !== "" && { name: name.trim() }),
      phone: phone.trim() || null,
      timezone: timezone === AUTOMATIC ? null : timezone,
      locale,
      ...(isOtherEmail && { email: email.trim(), currentPassword }),
    });
    saved(profileOf(answer));
    setCurrentPassword("");
    await reloadMe();
    invalidate("/users/me");
    toast.ok("Your profile is saved.");
  };
  return (
    <Card title="Profile">
      <Form onSubmit={save} label="Profile">
        <div class="grid2">
          <Field label="Name">
            <Input {...bind("name")} autocomplete="name" maxLength={255} />
          </Field>
          <Field label="Username" hint="An administrator can change it.">
            <Input value={account.username ?? ""} onChange={() => undefined} readOnly />
          </Field>
          <Field label="Mail address">
            <Input type="email" {...bind("email")} autocomplete="email" />
          </Field>
          <Field label="Phone number" optional hint="With the country code, such as +49 30 1234567.">
            <Input type="tel" {...bind("phone")} autocomplete="tel" />
          </Field>
          {isOtherEmail && (
            <Field label="Current password" hint="Needed to change the mail address.">
              <Input
                type="password"
                value={currentPassword}
                onChange={setCurrentPassword}
                autocomplete="current-password"
              />
            </Field>
          )}
          <Field label="Time zone" hint="For times on all pages, quiet hours and schedules.">
            <Combobox {...bind("timezone")} options={ZONES} />
          </Field>
          <Field label="Language" hint="For dates and numbers in mails.">
            <Select {...bind("locale")} options={localesWith(account.locale)} />
          </Field>
        </div>
        <SubmitButton disabled={isOtherEmail && currentPassword === ""}>Save</SubmitButton>
      </Form>
    </Card>
  );
}

/** The zone of the browser in use, stored as null. */
const AUTOMATIC = "automatic";
const ZONES = [
  { value: AUTOMATIC, label: `That of the browser (${Intl.DateTimeFormat().resolvedOptions().timeZone})` },
  ...[...new Set(["UTC", ...Intl.supportedValuesOf("timeZone")])].map((zone) => ({ value: zone, label: zone })),
];

const LOCALES = ["en", "en-GB", "de", "de-AT", "de-CH", "fr", "es", "it", "nl", "pl", "pt", "pt-BR", "sv", "ja", "zh"];

/** Names of languages in the browser's language, with the one in use. */
function localesWith(current: string) {
  const names = new Intl.DisplayNames(undefined, { type: "language" });
  return [...new Set([current, ...LOCALES])].map((value) => ({ value, label: names.of(value) ?? value }));
}

function Facts({ account }: { readonly account: User }) {
  return (
    <Card title="About this account">
      <DescriptionList
        items={[
          { label: "Id", value: <code class="code-in">{account.id}</code> },
          { label: "Roles", value: account.roles.join(", ") || "none" },
          { label: "Created", value: <Time at={account.createdAt} /> },
          { label: "Last sign-in", value: <Time at={account.lastLoginAt} /> },
        ]}
      />
    </Card>
  );
}

/** Open invitations to projects; nothing without one. */
function Invitations() {
  const query = useGet<{ readonly data: readonly ReceivedInvitation[] }>("/users/me/invitations");
  const invitations = query.data?.data ?? [];
  if (invitations.length === 0) return null;
  const accept = async ({ id, projectName }: ReceivedInvitation) => {
    await api.post(`/users/me/invitations/${id}/accept`);
    invalidate("/users/me/invitations", "/projects");
    toast.ok(`You are now a member of ${projectName}.`);
  };
  const decline = async ({ id, projectName }: ReceivedInvitation) => {
    const title = `Decline the invitation to ${projectName}?`;
    await confirmDelete(
      `/users/me/invitations/${id}`,
      { title, text: "The owner can invite you again.", action: "Decline" },
      query.reload,
    );
  };
  return (
    <Card title="Project invitations" tone="info">
      <ul class="account-rows">
        {invitations.map((invitation) => (
          <li key={invitation.id}>
            <div>
              <UserText>{invitation.projectName}</UserText>
              <div class="muted small">
                as {invitation.role}, from <bdi>{invitation.invitedBy}</bdi>, expires <Time at={invitation.expiresAt} />
              </div>
            </div>
            <div class="inline">
              <Button small onClick={() => decline(invitation)}>
                Decline
              </Button>
              <Button small variant="primary" onClick={() => accept(invitation)}>
                Accept
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

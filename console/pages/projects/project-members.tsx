import { useState } from "preact/hooks";
import type { Leftovers, ProjectDetail, ProjectInvitation, ProjectMember } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { LockedForm, ManagedNotice } from "../../app/managed.tsx";
import { findUsers } from "../../app/people.ts";
import { ProviderBadge } from "../../app/provider-badge.tsx";
import { useGet, useList } from "../../app/query.ts";
import { can, me } from "../../app/session.ts";
import {
  Button,
  Card,
  type Column,
  Combobox,
  choices,
  confirm,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
  openDialog,
  SecretDialog,
  Segmented,
  Select,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { ROLE_OPTIONS } from "./project-types.ts";

interface Props {
  readonly project: ProjectDetail;
  readonly isOwner: boolean;
}

/** The members of a project and the invitations that are open. */
export function ProjectMembers({ project, isOwner }: Props) {
  const list = useList<ProjectMember>(`/projects/${project.id}/members`, { limit: 100 });
  const done = (name: string, leftovers: Leftovers | undefined) => {
    list.reload();
    const lines = linesOf(leftovers);
    if (lines.length > 0) openDialog(<LeftoversDialog name={name} lines={lines} />);
  };
  const add = (
    <Button small variant="primary" onClick={() => openDialog(<AddMember project={project} onDone={list.reload} />)}>
      Add a member
    </Button>
  );
  return (
    <div class="stack">
      {isOwner && <ManagedNotice kind="members" id={project.id} />}
      <LockedForm kind="members" id={project.id}>
        <Card title="Members" flush actions={isOwner ? add : undefined}>
          <DataTable<ProjectMember>
            bare
            label="Members"
            list={list}
            rowKey={({ userId }) => userId}
            columns={columns(project, isOwner, done)}
            rowActions={(member) =>
              isOwner || member.userId === me.value?.id ? (
                <RemoveMember project={project} member={member} onDone={done} />
              ) : null
            }
            empty={<EmptyState small title="This project has no members" text="Add people who may see its events." />}
          />
        </Card>
      </LockedForm>
      {isOwner && <Invitations project={project} />}
    </div>
  );
}

interface LeftBy {
  readonly name: string;
  readonly lines: readonly string[];
}

const KINDS: Readonly<Record<string, string>> = {
  apiKey: "API key",
  receiver: "URL of the receiver",
  integration: "Key of the integration",
  heartbeat: "Ping URL of",
  pingKey: "The project's",
  forwardUrl: "Where requests are passed on by",
};

/** One line for each key that ended and each secret that the person still knows. */
function linesOf(left: Leftovers = {}): string[] {
  const { keysRevoked, keysRestricted, keysHandedOver, toRotate = [], toRotateCount = 0 } = left;
  const more = toRotateCount - toRotate.length;
  return [
    ...(keysRevoked ?? []).map(({ name }) => `API key ${name}: revoked`),
    ...(keysRestricted ?? []).map(
      ({ name, scopes }) =>
        `API key ${name}: ${scopes.length === 0 ? "may do nothing" : `only ${scopes.join(", ")}`} now`,
    ),
    ...(keysHandedOver ?? []).map(({ name }) => `API key ${name}: handed over`),
    ...toRotate.map(({ kind, name }) => `${KINDS[kind] ?? kind} ${name}: still works, rotate it`),
    ...(more > 0 ? [`${more} more that still work: rotate them`] : []),
  ];
}

/** Ended rights, and secrets to rotate so that the person can no longer use them. */
function LeftoversDialog({ name, lines }: LeftBy) {
  return (
    <Dialog title={`Keys and URLs that ${name} knows`}>
      <ul>
        {lines.map((line) => (
          <li key={line}>
            <UserText>{line}</UserText>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

type Done = (name: string, leftovers: Leftovers | undefined) => void;

function columns(project: ProjectDetail, isOwner: boolean, done: Done): readonly Column<ProjectMember>[] {
  const change = async ({ userId, name, role: before }: ProjectMember, role: string) => {
    const title = `Make ${name} ${role}?`;
    const text = "API keys that the person made lose the rights that the role does not have.";
    if (before === "owner" && role !== before && !(await confirm({ title, text, action: "Change", danger: true }))) {
      return done(name, undefined);
    }
    const changed = await api.patch<Leftovers>(`/projects/${project.id}/members/${userId}`, { role });
    toast.ok(`${name} is ${role} now.`);
    done(name, changed);
  };
  return [
    {
      label: "Name",
      cell: ({ name, source }) => (
        <>
          <UserText>{name}</UserText> <ProviderBadge source={source} />
        </>
      ),
      card: "title",
      width: "wide",
    },
    {
      label: "Role",
      cell: (member) =>
        isOwner ? (
          <Select
            small
            label={`Role of ${member.name}`}
            value={member.role}
            options={ROLE_OPTIONS}
            onChange={(role) => change(member, role).catch(toast.error)}
          />
        ) : (
          member.role
        ),
      card: "aside",
    },
    { label: "Member since", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
  ];
}

interface RemoveProps {
  readonly project: ProjectDetail;
  readonly member: ProjectMember;
  readonly onDone: Done;
}

function RemoveMember({ project, member, onDone }: RemoveProps) {
  const isSelf = member.userId === me.value?.id;
  const remove = async () => {
    const title = isSelf ? `Leave ${project.name}?` : `Remove ${member.name}?`;
    const text = isSelf
      ? "You no longer see its events. API keys that you made are revoked."
      : "The person no longer sees the project's events; live connections end. API keys that the person made are revoked.";
    if (!(await confirm({ title, text, action: isSelf ? "Leave" : "Remove", danger: true }))) return;
    const left = await api.del<Leftovers | undefined>(`/projects/${project.id}/members/${member.userId}`);
    onDone(member.name, left);
  };
  return (
    <Button small onClick={remove}>
      {isSelf ? "Leave" : "Remove"}
    </Button>
  );
}

const INVITATION_COLUMNS: readonly Column<ProjectInvitation>[] = [
  { label: "Mail address", cell: ({ email }) => <UserText>{email}</UserText>, card: "title", width: "wide" },
  { label: "Role", cell: ({ role }) => role, card: "aside" },
  { label: "Ends", cell: ({ expiresAt }) => <Time at={expiresAt} />, align: "end" },
];

function Invitations({ project }: { readonly project: ProjectDetail }) {
  const path = `/projects/${project.id}/invitations`;
  const query = useGet<{ data: readonly ProjectInvitation[] }>(path);
  if (query.data?.data.length === 0) return null;
  const revoke = async ({ id, email }: ProjectInvitation) => {
    await api.del(`${path}/${id}`);
    toast.ok(`The invitation to ${email} no longer works.`);
    query.reload();
  };
  return (
    <Card title="Open invitations" flush>
      <DataTable<ProjectInvitation>
        bare
        label="Open invitations"
        list={query}
        columns={INVITATION_COLUMNS}
        rowActions={(invitation) => [{ label: "Revoke", onSelect: () => revoke(invitation) }]}
      />
    </Card>
  );
}

interface AddProps {
  readonly project: ProjectDetail;
  readonly onDone: () => void;
}

/** Adds an account, or invites a mail address. */
function AddMember({ project, onDone }: AddProps) {
  const canPick = can("users:read");
  const [way, setWay] = useState(canPick ? "account" : "mail");
  const [userId, setUserId] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("viewer");
  const add = async () => {
    const body = way === "account" ? { userId, role } : { email, role };
    const { inviteUrl } = await api.post<{ inviteUrl?: string }>(`/projects/${project.id}/members`, body);
    onDone();
    if (inviteUrl === undefined) {
      return toast.ok(way === "account" ? "The member is added." : `An invitation was sent to ${email}.`);
    }
    return (
      <SecretDialog title="The invitation is created" label="Invitation link" value={inviteUrl}>
        <p>Mail is not set up, so pass this link on yourself.</p>
      </SecretDialog>
    );
  };
  return (
    <Dialog
      title={`Add a member to ${project.name}`}
      size="sm"
      onSubmit={add}
      action={way === "account" ? "Add" : "Invite"}
    >
      {canPick && (
        <Segmented
          label="Who"
          value={way}
          onChange={setWay}
          options={choices({ account: "An account", mail: "A mail address" })}
        />
      )}
      {way === "account" ? (
        <Field label="Person" required>
          <Combobox value={userId} onChange={setUserId} load={findUsers} placeholder="Name or address" />
        </Field>
      ) : (
        <Field label="Mail address" required>
          <Input type="email" value={email} onChange={setEmail} autocomplete="off" />
        </Field>
      )}
      <Field label="Role">
        <Select value={role} onChange={setRole} options={ROLE_OPTIONS} />
      </Field>
    </Dialog>
  );
}

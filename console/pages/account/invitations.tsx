import type { ReceivedInvitation } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { Button, Card, Time, toast, UserText } from "../../ui/index.ts";

/** Open invitations to projects; nothing without one. */
export function Invitations() {
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

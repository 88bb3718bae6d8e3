import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../app/api.ts";
import { session } from "../../app/session.ts";
import { Banner, Skeleton } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { type Invitation, JoinAsMe, JoinAsVisitor } from "./join-project.tsx";
import { linkToken } from "./link-token.ts";
import { Registered } from "./register.tsx";
import { send } from "./requests.ts";

/** An invitation to a project: for the account that is signed in, another one, or a new one. */
export function ProjectInvitation() {
  const token = linkToken.value;
  const [invitation, setInvitation] = useState<Invitation>();
  const [error, setError] = useState<string>();
  const [status, setStatus] = useState<string>();
  useEffect(() => {
    if (token === null) return;
    send<Invitation>("/auth/project-invitation", { token }).then(setInvitation, (cause) => setError(errorText(cause)));
  }, [token]);
  const title = "Invitation to a project";
  if (status !== undefined)
    return (
      <StartFrame title={title}>
        <Registered status={status} />
      </StartFrame>
    );
  if (token === null || error !== undefined) {
    const text = error ?? "This link is not complete. Copy the whole link from the mail.";
    return (
      <StartFrame title={title}>
        <Banner tone="warn">{text}</Banner>
      </StartFrame>
    );
  }
  if (!invitation)
    return (
      <StartFrame title={title}>
        <Skeleton kind="form" />
      </StartFrame>
    );
  return (
    <StartFrame title={title} sub={<About invitation={invitation} />}>
      {session.value === "signedIn" ? (
        <JoinAsMe token={token} />
      ) : (
        <JoinAsVisitor token={token} invitation={invitation} onRegistered={setStatus} />
      )}
    </StartFrame>
  );
}

function About({ invitation: { invitedBy, projectName, role } }: { readonly invitation: Invitation }) {
  return (
    <>
      <bdi>{invitedBy || "A user"}</bdi> invites you to the project <bdi class="strong">{projectName}</bdi> as {role}.
    </>
  );
}

import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import { me, session } from "../../app/session.ts";
import { Banner, Button, choices, Field, Form, Input, Segmented, Skeleton, toast } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { dropToken, linkToken } from "./link-token.ts";
import { NewPassword } from "./new-password.tsx";
import { Registered, register } from "./register.tsx";
import { plainError, send, useSetup } from "./requests.ts";
import { SignInForm } from "./sign-in.tsx";

interface Invitation {
  readonly projectName: string;
  readonly role: string;
  readonly email: string;
  readonly invitedBy: string | null;
  readonly registration: "approval" | "open" | "closed";
}

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

async function join(token: string): Promise<void> {
  try {
    const { projectName } = await api.post<{ readonly projectName: string }>("/users/me/invitations", { token });
    dropToken();
    toast.ok(`You are now a member of ${projectName}.`);
    navigate("/projects", { replace: true });
  } catch (error) {
    throw plainError(error);
  }
}

function JoinAsMe({ token }: { readonly token: string }) {
  const user = me.value;
  return (
    <Form label="Join the project" onSubmit={() => join(token)}>
      <Button variant="primary" type="submit" full>
        Join as {user?.name || user?.username || user?.email || "yourself"}
      </Button>
    </Form>
  );
}

interface VisitorProps {
  readonly token: string;
  readonly invitation: Invitation;
  readonly onRegistered: (status: string) => void;
}

function JoinAsVisitor({ token, invitation, onRegistered }: VisitorProps) {
  const [way, setWay] = useState("account");
  if (invitation.registration === "closed") {
    return (
      <>
        <SignInForm submitText="Sign in and join" onDone={() => join(token)} />
        <p class="muted small">
          No account yet? Administrators create the accounts here. Ask one, then open this link again.
        </p>
      </>
    );
  }
  const ways = choices({ account: "I have an account", new: "Create an account" });
  return (
    <>
      <Segmented label="Account" value={way} onChange={setWay} options={ways} />
      {way === "account" ? (
        <SignInForm submitText="Sign in and join" onDone={() => join(token)} />
      ) : (
        <NewAccount token={token} email={invitation.email} onRegistered={onRegistered} />
      )}
    </>
  );
}

interface NewAccountProps {
  readonly token: string;
  readonly email: string;
  readonly onRegistered: (status: string) => void;
}

function NewAccount({ token, email, onRegistered }: NewAccountProps) {
  const setup = useSetup();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const submit = async () => {
    const account = { email, password, ...(name.trim() && { name: name.trim() }) };
    const status = await register({ ...account, projectInviteToken: token });
    dropToken();
    if (status === "signedIn") navigate("/projects", { replace: true });
    else onRegistered(status);
  };
  return (
    <Form label="Create an account" onSubmit={submit}>
      <Field label="Mail address" hint="The invitation is for this address.">
        <Input type="email" value={email} onChange={() => undefined} autocomplete="email" readOnly />
      </Field>
      <Field label="Your name" optional>
        <Input value={name} onChange={setName} name="name" autocomplete="name" maxLength={255} />
      </Field>
      <NewPassword value={password} onChange={setPassword} min={setup?.passwordMin} />
      <Button variant="primary" type="submit" full disabled={password === ""}>
        Create account and join
      </Button>
    </Form>
  );
}

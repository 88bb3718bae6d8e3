import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import { me } from "../../app/session.ts";
import { Button, choices, Field, Form, Input, Segmented, toast } from "../../ui/index.ts";
import { type Owner, OwnerFields, ownerOf } from "./account-fields.tsx";
import { dropToken } from "./link-token.ts";
import { NewPassword } from "./new-password.tsx";
import { register } from "./register.tsx";
import { plainError, useSetup } from "./requests.ts";
import { SignInForm } from "./sign-in-form.tsx";

export interface Invitation {
  readonly projectName: string;
  readonly role: string;
  readonly email: string;
  readonly invitedBy: string | null;
  readonly registration: "approval" | "open" | "closed";
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

export function JoinAsMe({ token }: { readonly token: string }) {
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

/** With an account, or with a new one. */
export function JoinAsVisitor({ token, invitation, onRegistered }: VisitorProps) {
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
  const [owner, setOwner] = useState<Owner>({});
  const [password, setPassword] = useState("");
  const submit = async () => {
    const status = await register({ ...ownerOf(owner), email, password, projectInviteToken: token });
    dropToken();
    if (status === "signedIn") navigate("/projects", { replace: true });
    else onRegistered(status);
  };
  return (
    <Form label="Create an account" onSubmit={submit}>
      <Field label="Mail address" hint="The invitation is for this address.">
        <Input type="email" value={email} onChange={() => undefined} autocomplete="email" readOnly />
      </Field>
      <OwnerFields owner={owner} onChange={setOwner} isNameOnly />
      <NewPassword value={password} onChange={setPassword} min={setup?.passwordMin} />
      <Button variant="primary" type="submit" full disabled={password === ""}>
        Create account and join
      </Button>
    </Form>
  );
}

import { MailCheck, UserCheck } from "lucide";
import { useState } from "preact/hooks";
import { type Login, openRequest, openSession } from "../../app/session.ts";
import { Banner, Button, EmptyState, Form, Link, Skeleton } from "../../ui/index.ts";
import { type Owner, OwnerFields, ownerOf } from "./account-fields.tsx";
import { StartFrame } from "./frame.tsx";
import { NewPassword } from "./new-password.tsx";
import { plainError, useSetup } from "./requests.ts";
import { useNext, withNext } from "./sign-in.tsx";

/** With a login when the account is active. */
export type Registration = { readonly status: "active" | "pending" | "unverified" | "disabled" } & Partial<Login>;

/** Registers an account and opens its session where the server's policy allows it. */
export async function register(account: object): Promise<Registration["status"] | "signedIn"> {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  try {
    const made = await openRequest<Registration>("/auth/register", { timezone: timeZone, ...account });
    const { status, accessToken, user, offsets } = made;
    if (accessToken === undefined || user === undefined || offsets === undefined) return status;
    openSession({ accessToken, user, offsets });
    return "signedIn";
  } catch (error) {
    throw plainError(error, { EMAIL_TAKEN: "There is an account with this mail address. Sign in instead." });
  }
}

/** The next step after a registration without a sign-in. */
export function Registered({ status }: { readonly status: string }) {
  if (status === "unverified") {
    const text = "We sent a link to your mail address. Open it to confirm the address, then sign in.";
    return <EmptyState icon={MailCheck} title="Confirm your mail address" text={text} small />;
  }
  if (status === "pending") {
    const text = "An administrator has to approve it. You can sign in afterwards.";
    return <EmptyState icon={UserCheck} title="Your account is waiting for approval" text={text} small />;
  }
  return <EmptyState icon={UserCheck} title="Your account is ready" text="You can sign in now." small />;
}

export function Register() {
  const setup = useSetup();
  const next = useNext();
  const [owner, setOwner] = useState<Owner>({});
  const [password, setPassword] = useState("");
  const [status, setStatus] = useState<string>();
  const submit = async () => {
    const made = await register({ ...ownerOf(owner), password });
    if (made !== "signedIn") setStatus(made);
  };
  const links = <Link href={withNext("/sign-in", next)}>Back to the sign-in</Link>;
  if (!setup)
    return (
      <StartFrame title="Create an account" links={links}>
        <Skeleton kind="form" />
      </StartFrame>
    );
  if (setup.registration === "closed") {
    return (
      <StartFrame title="Create an account" links={links}>
        <Banner tone="info">Registration is closed on this server. Ask an administrator for an account.</Banner>
      </StartFrame>
    );
  }
  if (status !== undefined)
    return (
      <StartFrame title="Create an account" links={links}>
        <Registered status={status} />
      </StartFrame>
    );
  const sub =
    setup.registration === "approval" ? "An administrator approves new accounts before they can sign in." : undefined;
  return (
    <StartFrame title="Create an account" sub={sub} links={links}>
      <Form onSubmit={submit} label="Create an account">
        <OwnerFields owner={owner} onChange={setOwner} autoFocus />
        <NewPassword value={password} onChange={setPassword} min={setup.passwordMin} />
        <Button variant="primary" type="submit" full disabled={!ownerOf(owner).email || password === ""}>
          Create account
        </Button>
      </Form>
    </StartFrame>
  );
}

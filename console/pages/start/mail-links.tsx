import { CircleCheck, MailCheck } from "lucide";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { href, SERVER_URL } from "../../app/base.ts";
import { navigate } from "../../app/navigate.ts";
import { session } from "../../app/session.ts";
import { Banner, Button, EmptyState, Field, Form, Input, Link } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { dropToken, linkToken } from "./link-token.ts";
import { NewPassword } from "./new-password.tsx";
import { register } from "./register.tsx";
import { send, useSetup } from "./requests.ts";
import { useNext, withNext } from "./sign-in.tsx";

/** The result of a link, and where to go next. */
function Done({ text, title }: { readonly title: string; readonly text?: string }) {
  const isIn = session.value === "signedIn";
  const action = (
    <Button variant="primary" href={href(isIn ? "/" : "/sign-in")}>
      {isIn ? "Open the console" : "Sign in"}
    </Button>
  );
  return <EmptyState icon={CircleCheck} title={title} text={text} action={action} small />;
}

interface LinkPageProps {
  readonly title: string;
  readonly sub?: string;
  readonly children: (token: string) => ComponentChildren;
}

/** A page of a mailed link. A used token stays shown until the page changes. */
function LinkPage({ title, sub, children }: LinkPageProps) {
  const token = linkToken.value;
  return (
    <StartFrame title={title} {...(sub !== undefined && { sub })}>
      {token === null ? <Incomplete /> : children(token)}
    </StartFrame>
  );
}

function Incomplete() {
  return <Banner tone="warn">This link is not complete. Copy the whole link from the mail.</Banner>;
}

export function ResetPassword() {
  const setup = useSetup();
  const [password, setPassword] = useState("");
  const [isDone, setDone] = useState(false);
  if (isDone) {
    return (
      <StartFrame title="Choose a new password">
        <Done title="Your password is changed" text="All sessions of the account have ended." />
      </StartFrame>
    );
  }
  return (
    <LinkPage title="Choose a new password" sub="All sessions of the account end.">
      {(token) => (
        <Form
          label="Choose a new password"
          onSubmit={async () => {
            await send("/auth/reset-password", { token, password });
            setDone(true);
            dropToken();
          }}
        >
          <NewPassword
            value={password}
            onChange={setPassword}
            min={setup?.passwordMin}
            label="New password"
            autoFocus
          />
          <Button variant="primary" type="submit" full disabled={password === ""}>
            Set password
          </Button>
        </Form>
      )}
    </LinkPage>
  );
}

/** An account that an administrator has created gets its password. */
export function Invite() {
  const setup = useSetup();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <LinkPage title="Welcome to Prism" sub="An administrator has created an account for you. Choose a password for it.">
      {(token) => (
        <Form
          label="Open your account"
          onSubmit={async () => {
            await register({ inviteToken: token, password, ...(name.trim() && { name: name.trim() }) });
            dropToken();
            navigate("/", { replace: true });
          }}
        >
          <Field label="Your name" optional>
            <Input value={name} onChange={setName} name="name" autocomplete="name" maxLength={255} autoFocus />
          </Field>
          <NewPassword value={password} onChange={setPassword} min={setup?.passwordMin} />
          <Button variant="primary" type="submit" full disabled={password === ""}>
            Open account
          </Button>
        </Form>
      )}
    </LinkPage>
  );
}

const VERIFY_TEXT =
  "Enter the password that was chosen with the account: if you did not choose it, the account is not yours.";

export function VerifyEmail() {
  const [status, setStatus] = useState<string>();
  const [password, setPassword] = useState("");
  const isIn = session.value === "signedIn";
  if (status !== undefined) {
    const text = status === "active" ? "You can sign in now." : "An administrator has yet to approve the account.";
    return (
      <StartFrame title="Confirm your mail address">
        <Done title="Your mail address is confirmed" text={text} />
      </StartFrame>
    );
  }
  return (
    <LinkPage title="Confirm your mail address" sub={VERIFY_TEXT}>
      {(token) => (
        <Form
          label="Confirm your mail address"
          onSubmit={async () => {
            // An active account confirms its address in its own session.
            const confirm = isIn ? api.post : send;
            const body = { token, ...(password !== "" && { password }) };
            const made = await confirm<{ readonly status: string }>("/auth/verify-email", body);
            setStatus(made.status);
            dropToken();
          }}
        >
          <Field label="Password of the account" {...(isIn && { hint: "Not needed if you are signed in to it." })}>
            <Input
              type="password"
              value={password}
              onChange={setPassword}
              name="password"
              autocomplete="current-password"
              autoFocus
            />
          </Field>
          <Button variant="primary" type="submit" full disabled={!isIn && password === ""}>
            Confirm address
          </Button>
        </Form>
      )}
    </LinkPage>
  );
}

export function ForgotPassword() {
  const setup = useSetup();
  const next = useNext();
  const [email, setEmail] = useState("");
  const [isSent, setSent] = useState(false);
  const links = <Link href={withNext("/sign-in", next)}>Back to the sign-in</Link>;
  if (setup?.mailConfigured === false) {
    return (
      <StartFrame title="Forgot your password?" links={links}>
        <Banner tone="info">This server sends no mails. Ask an administrator for a link to sign in.</Banner>
      </StartFrame>
    );
  }
  if (isSent) {
    const text = `If there is an account with ${email.trim()}, a link to choose a new password is on its way. It is valid for an hour.`;
    return (
      <StartFrame title="Forgot your password?" links={links}>
        <EmptyState icon={MailCheck} title="Check your mailbox" text={text} small />
      </StartFrame>
    );
  }
  return (
    <StartFrame title="Forgot your password?" sub="We send you a link to choose a new one." links={links}>
      <Form
        label="Forgot your password"
        onSubmit={async () => {
          await send("/auth/forgot-password", { email: email.trim() });
          setSent(true);
        }}
      >
        <Field label="Mail address">
          <Input type="email" value={email} onChange={setEmail} name="email" autocomplete="email" autoFocus />
        </Field>
        <Button variant="primary" type="submit" full disabled={email.trim() === ""}>
          Send the link
        </Button>
      </Form>
    </StartFrame>
  );
}

const KINDS: Readonly<Record<string, string>> = {
  rule: "notifications of rules",
  direct: "notifications that people send",
  timer: "timers",
  digest: "digests",
  alert: "alerts about the server",
  aggregate: "summaries of repeated notifications",
};

/** The link in mails that ends mails of one kind: it has its token in the query (RFC 8058). */
export function Unsubscribe() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  const [isDone, setDone] = useState(false);
  const kind = KINDS[token.split(".")[1] ?? ""] ?? "this kind";
  if (isDone) {
    return (
      <StartFrame title="Stop these mails">
        <Done
          title="No more such mails are sent to you"
          text="You can change this in your account, under Notifications."
        />
      </StartFrame>
    );
  }
  return (
    <StartFrame title="Stop these mails" sub={`Prism will no longer send you mails about ${kind}.`}>
      {token === "" ? (
        <Incomplete />
      ) : (
        <Form
          label="Stop these mails"
          onSubmit={async () => {
            await endMails(token);
            setDone(true);
          }}
        >
          <Button variant="primary" type="submit" full>
            Stop these mails
          </Button>
        </Form>
      )}
    </StartFrame>
  );
}

/** As mail programs do it. */
async function endMails(token: string): Promise<void> {
  const url = `${SERVER_URL}/account/unsubscribe?token=${encodeURIComponent(token)}`;
  const body = new URLSearchParams({ "List-Unsubscribe": "One-Click" });
  const response = await fetch(url, { method: "POST", body, credentials: "omit" }).catch(() => undefined);
  if (response?.ok) return;
  throw new Error(
    response?.status === 401
      ? "This link is not from this server. Copy the whole link from the mail."
      : "The server cannot be reached. Try again.",
  );
}

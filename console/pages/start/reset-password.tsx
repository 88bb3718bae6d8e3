import { MailCheck } from "lucide";
import { useState } from "preact/hooks";
import { Banner, Button, EmptyState, Field, Form, Input, Link } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { Done, LinkPage } from "./link-page.tsx";
import { dropToken } from "./link-token.ts";
import { NewPassword } from "./new-password.tsx";
import { send, useSetup } from "./requests.ts";
import { useNext, withNext } from "./sign-in.tsx";

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

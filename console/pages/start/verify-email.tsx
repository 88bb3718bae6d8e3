import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { session } from "../../app/session.ts";
import { Button, Field, Form, Input } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { Done, LinkPage } from "./link-page.tsx";
import { dropToken } from "./link-token.ts";
import { send } from "./requests.ts";

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

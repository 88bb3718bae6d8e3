import { useState } from "preact/hooks";
import { PrismError } from "../../app/api.ts";
import { hasPasskeys } from "../../app/passkeys.ts";
import { Banner, Button, Checkbox, Field, Form, Input } from "../../ui/index.ts";
import { answerOfPasskey, type Challenge, plainError, send, signIn } from "./requests.ts";
import { SecondFactor } from "./second-factor-form.tsx";

interface SignInFormProps {
  readonly onDone?: () => void | Promise<void>;
  readonly submitText?: string;
  /** Whether a passkey can sign in without a password. */
  readonly offersPasskey?: boolean | undefined;
}

/** The two steps of a sign-in: the password, then the second factor of accounts that have one. */
export function SignInForm({ onDone, submitText = "Sign in", offersPasskey = false }: SignInFormProps) {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [rememberMe, setRememberMe] = useState(true);
  const [challenge, setChallenge] = useState<Challenge>();
  const [isUnverified, setUnverified] = useState(false);
  const submit = async () => {
    setUnverified(false);
    try {
      const step = await signIn("/auth/login", { login: login.trim(), password, rememberMe });
      if (step) setChallenge(step);
      else await onDone?.();
    } catch (error) {
      setUnverified(error instanceof PrismError && error.code === "ACCOUNT_UNVERIFIED" && login.includes("@"));
      throw plainError(error);
    }
  };
  const byPasskey = async () => {
    try {
      await signIn("/auth/passkey", { passkey: await answerOfPasskey(), rememberMe });
      await onDone?.();
    } catch (error) {
      throw plainError(error, { INVALID_CREDENTIALS: "The passkey was not accepted. Sign in with your password." });
    }
  };
  if (challenge) {
    const restart = () => setChallenge(undefined);
    return <SecondFactor challenge={challenge} rememberMe={rememberMe} onDone={onDone} onRestart={restart} />;
  }
  return (
    <Form onSubmit={submit} label="Sign in">
      <Field label="Mail address, username or phone number">
        <Input value={login} onChange={setLogin} name="username" autocomplete="username" autoFocus />
      </Field>
      <Field label="Password">
        <Input
          type="password"
          value={password}
          onChange={setPassword}
          name="password"
          autocomplete="current-password"
        />
      </Field>
      <Checkbox checked={rememberMe} onChange={setRememberMe} label="Keep me signed in" />
      <Button variant="primary" type="submit" full disabled={login.trim() === "" || password === ""}>
        {submitText}
      </Button>
      {offersPasskey && hasPasskeys() && (
        <Button full onClick={byPasskey}>
          Sign in with a passkey
        </Button>
      )}
      {isUnverified && <ResendVerification email={login.trim()} />}
    </Form>
  );
}

function ResendVerification({ email }: { readonly email: string }) {
  const [isSent, setSent] = useState(false);
  if (isSent) return <Banner tone="ok">The link is on its way. Check your mailbox.</Banner>;
  return (
    <Button
      full
      onClick={async () => {
        await send("/auth/resend-verification", { email });
        setSent(true);
      }}
    >
      Send the confirmation link again
    </Button>
  );
}

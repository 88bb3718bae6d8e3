import { useState } from "preact/hooks";
import type { Setup } from "../../../src/client/api-types.gen.ts";
import { PrismError } from "../../app/api.ts";
import { href, ownPath } from "../../app/base.ts";
import { navigate, usePath, useQueryState } from "../../app/navigate.ts";
import { endedBecause } from "../../app/session.ts";
import { Banner, Button, Checkbox, Field, Form, Input, Link } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { type Challenge, plainError, send, signIn, useSetup } from "./requests.ts";

/** Paths that only lead to the sign-in page. */
export const SIGN_IN_PATHS = ["/sign-in", "/register", "/forgot-password"];

/** Where a visitor goes after signing in: the requested page. */
export function useNext(): string {
  const path = usePath();
  const [next] = useQueryState("next");
  if (next.startsWith("/")) return ownPath(next);
  return SIGN_IN_PATHS.includes(path) ? "/" : path + location.search;
}

/** A link to another page of visitors, which returns to the requested page. */
export function withNext(path: string, next: string): string {
  return href(next === "/" ? path : `${path}?next=${encodeURIComponent(next)}`);
}

export function SignIn() {
  const setup = useSetup();
  const next = useNext();
  const path = usePath();
  const finish = () => {
    if (SIGN_IN_PATHS.includes(path)) navigate(next, { replace: true });
  };
  return (
    <StartFrame title="Sign in" links={<Links setup={setup} next={next} />}>
      {endedBecause.value && <Banner tone="info">{endedBecause.value}</Banner>}
      <SignInForm onDone={finish} />
    </StartFrame>
  );
}

function Links({ setup, next }: { readonly setup: Setup | undefined; readonly next: string }) {
  return (
    <>
      <Link href={withNext("/forgot-password", next)}>Forgot your password?</Link>
      {setup && setup.registration !== "closed" && <Link href={withNext("/register", next)}>Create an account</Link>}
    </>
  );
}

interface SignInFormProps {
  readonly onDone?: () => void | Promise<void>;
  readonly submitText?: string;
}

/** The two steps of a sign-in: the password, then the second factor of accounts that have one. */
export function SignInForm({ onDone, submitText = "Sign in" }: SignInFormProps) {
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

interface SecondFactorProps {
  readonly challenge: Challenge;
  readonly rememberMe: boolean;
  readonly onDone?: (() => void | Promise<void>) | undefined;
  readonly onRestart: () => void;
}

const CODE_ERRORS = {
  INVALID_CREDENTIALS: "The code is wrong. Codes change every 30 seconds.",
  LINK_EXPIRED: "The sign-in took too long. Start again.",
};

/** The second step: a code of the authenticator app, or a recovery code. */
export function SecondFactor({ challenge, rememberMe, onDone, onRestart }: SecondFactorProps) {
  const [code, setCode] = useState("");
  const [isRecovery, setRecovery] = useState(false);
  const complete = async () => {
    const given = code.replace(/\s+/g, "");
    const proof = isRecovery ? { recoveryCode: given } : { code: given };
    try {
      await signIn("/auth/login/second-factor", { ...challenge, ...proof, rememberMe });
      await onDone?.();
    } catch (error) {
      throw plainError(
        error,
        isRecovery ? { ...CODE_ERRORS, INVALID_CREDENTIALS: "The recovery code is wrong, or was used." } : CODE_ERRORS,
      );
    }
  };
  const swap = () => {
    setRecovery(!isRecovery);
    setCode("");
  };
  return (
    <Form onSubmit={complete} label="Second factor">
      <p class="muted small">
        {isRecovery
          ? "Enter one of the recovery codes that you stored when you set up the second factor. It works once."
          : "Open your authenticator app and enter the code that it shows for Prism."}
      </p>
      <Field label={isRecovery ? "Recovery code" : "Code of the authenticator app"}>
        <Input
          key={String(isRecovery)}
          value={code}
          onChange={setCode}
          autocomplete="one-time-code"
          inputMode={isRecovery ? "text" : "numeric"}
          mono
          autoFocus
        />
      </Field>
      <Button variant="primary" type="submit" full disabled={code.trim() === ""}>
        Sign in
      </Button>
      <div class="spread">
        <Button variant="quiet" small onClick={swap}>
          {isRecovery ? "Use the app" : "Use a recovery code"}
        </Button>
        <Button variant="quiet" small onClick={onRestart}>
          Start again
        </Button>
      </div>
    </Form>
  );
}

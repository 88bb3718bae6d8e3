import { useState } from "preact/hooks";
import { Button, Field, Form, Input } from "../../ui/index.ts";
import { type Challenge, plainError, signIn } from "./requests.ts";

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

import { useState } from "preact/hooks";
import { hasPasskeys } from "../../app/passkeys.ts";
import { Button, Field, Form, Input } from "../../ui/index.ts";
import { answerOfPasskey, type Challenge, type Factor, plainError, signIn } from "./requests.ts";

interface SecondFactorProps {
  readonly challenge: Challenge;
  readonly rememberMe: boolean;
  readonly onDone?: (() => void | Promise<void>) | undefined;
  readonly onRestart: () => void;
}

interface Texts {
  readonly text: string;
  /** Of the button that chooses it. */
  readonly use: string;
  readonly wrong: string;
}

const TEXTS: Readonly<Record<Factor, Texts>> = {
  passkey: {
    text: "Your browser asks for your passkey: a finger, face or PIN, or your security key.",
    use: "Use a passkey",
    wrong: "The passkey was not accepted.",
  },
  code: {
    text: "Open your authenticator app and enter the code that it shows for Prism.",
    use: "Use the app",
    wrong: "The code is wrong. Codes change every 30 seconds.",
  },
  recoveryCode: {
    text: "Enter one of the recovery codes that you stored when you set up the second factor. It works once.",
    use: "Use a recovery code",
    wrong: "The recovery code is wrong, or was used.",
  },
};

/** The second step: a passkey, a code of the authenticator app, or a recovery code, as the account has. */
export function SecondFactor({ challenge: given, rememberMe, onDone, onRestart }: SecondFactorProps) {
  const { challenge } = given;
  const factors = given.factors.filter((each) => each !== "passkey" || hasPasskeys());
  const [factor, setFactor] = useState<Factor>(factors[0] ?? "recoveryCode");
  const [code, setCode] = useState("");
  const complete = async () => {
    try {
      const proof = factor === "passkey" ? await answerOfPasskey(challenge) : code.replace(/\s+/g, "");
      await signIn("/auth/login/second-factor", { challenge, [factor]: proof, rememberMe });
      await onDone?.();
    } catch (error) {
      throw plainError(error, {
        INVALID_CREDENTIALS: TEXTS[factor].wrong,
        LINK_EXPIRED: "The sign-in took too long. Start again.",
      });
    }
  };
  const swap = (next: Factor) => {
    setFactor(next);
    setCode("");
  };
  return (
    <Form onSubmit={complete} label="Second factor">
      <p class="muted small">{TEXTS[factor].text}</p>
      {factor !== "passkey" && (
        <Field label={factor === "recoveryCode" ? "Recovery code" : "Code of the authenticator app"}>
          <Input
            key={factor}
            value={code}
            onChange={setCode}
            autocomplete="one-time-code"
            inputMode={factor === "recoveryCode" ? "text" : "numeric"}
            mono
            autoFocus
          />
        </Field>
      )}
      <Button variant="primary" type="submit" full disabled={factor !== "passkey" && code.trim() === ""}>
        {factor === "passkey" ? "Sign in with your passkey" : "Sign in"}
      </Button>
      <div class="spread">
        {factors
          .filter((each) => each !== factor)
          .map((each) => (
            <Button key={each} variant="quiet" small onClick={() => swap(each)}>
              {TEXTS[each].use}
            </Button>
          ))}
        <Button variant="quiet" small onClick={onRestart}>
          Start again
        </Button>
      </div>
    </Form>
  );
}

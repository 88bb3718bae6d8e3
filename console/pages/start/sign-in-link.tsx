import { useEffect, useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { navigate } from "../../app/navigate.ts";
import { Banner, Button, Skeleton } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { dropToken, linkToken } from "./link-token.ts";
import { type Challenge, plainError, signIn } from "./requests.ts";
import { SecondFactor } from "./second-factor-form.tsx";

const EXPIRED = "This sign-in link has expired or was used: it works once, for 15 minutes.";

/** The link that the server prints at its start, or `prism user sign-in-link` makes. */
export function SignInLink() {
  const token = linkToken.value;
  const [error, setError] = useState<string>();
  const [challenge, setChallenge] = useState<Challenge>();
  const [isBusy, setBusy] = useState(false);
  const finish = () => navigate("/", { replace: true });
  useEffect(() => {
    if (token === null) return;
    dropToken();
    setBusy(true);
    signIn("/auth/sign-in-link", { token })
      .then((step) => (step ? setChallenge(step) : finish()))
      .catch((cause: unknown) => setError(plainError(cause, { LINK_EXPIRED: EXPIRED }).message))
      .finally(() => setBusy(false));
  }, [token]);
  if (challenge) {
    return (
      <StartFrame title="Sign in">
        <SecondFactor challenge={challenge} rememberMe onDone={finish} onRestart={finish} />
      </StartFrame>
    );
  }
  if (isBusy || token !== null)
    return (
      <StartFrame title="Signing in">
        <Skeleton kind="text" />
      </StartFrame>
    );
  return (
    <StartFrame title="Sign in">
      <Banner tone="warn">{error ?? "This link is not complete. Copy the whole link."}</Banner>
      <p class="muted small">
        On the server, <code class="code-in">prism user sign-in-link</code> makes another one.
      </p>
      <Button variant="primary" full href={href("/sign-in")}>
        Sign in with a password
      </Button>
    </StartFrame>
  );
}

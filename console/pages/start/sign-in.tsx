import type { Setup } from "../../../src/client/api-types.gen.ts";
import { href, ownPath } from "../../app/base.ts";
import { navigate, usePath, useQueryState } from "../../app/navigate.ts";
import { endedBecause } from "../../app/session.ts";
import { Banner, Link, Skeleton } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { answerText, dropAnswer, providerAnswer } from "./provider-answer.ts";
import { Providers, useAutoRedirect } from "./providers.tsx";
import { useSetup } from "./requests.ts";
import { SecondFactor } from "./second-factor-form.tsx";
import { SignInForm } from "./sign-in-form.tsx";

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
  const { error, challenge } = providerAnswer.value;
  const leads = useAutoRedirect({ setup, next });
  if (challenge !== null)
    return (
      <StartFrame title="Sign in">
        <SecondFactor challenge={challenge} rememberMe onDone={finish} onRestart={dropAnswer} />
      </StartFrame>
    );
  if (leads)
    return (
      <StartFrame title="Signing in">
        <Skeleton kind="text" />
      </StartFrame>
    );
  return (
    <StartFrame title="Sign in" links={<Links setup={setup} next={next} />}>
      {endedBecause.value && <Banner tone="info">{endedBecause.value}</Banner>}
      {error !== null && <Banner tone="warn">{answerText(error)}</Banner>}
      <Providers setup={setup} next={next} />
      {setup?.localLogin !== "off" && <SignInForm onDone={finish} offersPasskey={setup?.passkeys} />}
    </StartFrame>
  );
}

function Links({ setup, next }: { readonly setup: Setup | undefined; readonly next: string }) {
  return (
    <>
      {setup?.localLogin !== "off" && <Link href={withNext("/forgot-password", next)}>Forgot your password?</Link>}
      {setup && setup.registration !== "closed" && <Link href={withNext("/register", next)}>Create an account</Link>}
    </>
  );
}

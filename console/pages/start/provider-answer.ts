import { signal } from "@preact/signals";
import { type Challenge, FACTORS } from "./requests.ts";

/** What a sign-in at a provider ended with, for one page. */
interface ProviderAnswer {
  /** Code of an error. */
  readonly error: string | null;
  /** Of the second factor. */
  readonly challenge: Challenge | null;
}

/** In the fragment of the address, which browsers do not send; it is removed at once. */
export const providerAnswer = signal<ProviderAnswer>(takeAnswer());

function takeAnswer(): ProviderAnswer {
  const given = new URLSearchParams(location.hash.slice(1));
  const challenge = given.get("challenge");
  const named = (given.get("factors") ?? "").split(" ");
  const factors = FACTORS.filter((each) => named.includes(each));
  const answer = { error: given.get("error"), challenge: challenge === null ? null : { challenge, factors } };
  if (answer.error !== null || answer.challenge !== null)
    history.replaceState(history.state, "", location.pathname + location.search);
  return answer;
}

export function dropAnswer(): void {
  providerAnswer.value = { error: null, challenge: null };
}

const TEXTS: Readonly<Record<string, string>> = {
  PROVIDER_UNREACHABLE: "The provider cannot be reached. Try again, or sign in in another way.",
  PROVIDER_REFUSED:
    "The provider did not sign you in, or its answer cannot be used. An administrator finds the reason in the log.",
  SIGN_IN_EXPIRED: "The sign-in took too long, or began in another browser. Start again.",
  ACCOUNT_NOT_LINKED:
    "No account here is linked with the one that you signed in with. If you have one, sign in to it in another way and link the provider on its page Security; or ask an administrator.",
  ACCOUNT_PENDING: "An administrator has yet to approve your account.",
  ACCOUNT_DISABLED: "Your account is disabled. Ask an administrator.",
  ACCOUNT_UNVERIFIED: "The mail address of your account is not confirmed yet.",
  REGISTRATION_CLOSED: "There is no account for you here. Ask an administrator for one.",
  IDENTITY_TAKEN: "Another account here is linked with that account of the provider.",
  SESSION_REVOKED: "Your session has ended meanwhile. Sign in, and link the provider again.",
  RATE_LIMITED: "Too many attempts. Try again in a minute.",
  NOT_FOUND: "There is no such provider.",
};

/** The sentence of a code. An address may hold any code, so nothing of it is shown. */
export function answerText(code: string): string {
  return TEXTS[code] ?? "The sign-in failed. Try again.";
}

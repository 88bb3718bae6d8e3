import { useEffect, useState } from "preact/hooks";
import type { Setup } from "../../../src/client/api-types.gen.ts";
import { errorText, PrismError } from "../../app/api.ts";
import { askPasskey, type PasskeyOptions } from "../../app/passkeys.ts";
import { type Login, openRequest, openSession } from "../../app/session.ts";

/** @returns undefined until the answer, and when there is none: pages work without it. */
export function useSetup(): Setup | undefined {
  const [setup, setSetup] = useState<Setup>();
  useEffect(() => {
    openRequest<Setup>("/setup", {}, "GET").then(setSetup, () => undefined);
  }, []);
  return setup;
}

const TEXTS: Readonly<Record<string, string>> = {
  LINK_EXPIRED: "This link has expired or was used. Ask for another one.",
  INVALID_CREDENTIALS: "The name or the password is wrong.",
  ACCOUNT_PENDING: "An administrator has yet to approve your account.",
  ACCOUNT_DISABLED: "Your account is disabled. Ask an administrator.",
};

/** An error of a request without a session, in the words of its page. */
export function plainError(error: unknown, texts: Readonly<Record<string, string>> = {}): Error {
  if (!(error instanceof PrismError)) return error instanceof Error ? error : new Error(String(error));
  if (error.code === "RATE_LIMITED") {
    const seconds = Math.ceil((error.retryAfterMs ?? 60_000) / 1000);
    return new Error(`Too many attempts. Try again in ${seconds} s.`, { cause: error });
  }
  return new Error(texts[error.code] ?? TEXTS[error.code] ?? errorText(error), { cause: error });
}

/** {@link openRequest} with errors for people. */
export async function send<T>(path: string, body: object): Promise<T> {
  return openRequest<T>(path, body).catch((error: unknown) => Promise.reject(plainError(error)));
}

/** The second step of a sign-in that needs one. */
export interface Challenge {
  readonly challenge: string;
  /** What the account can prove. */
  readonly factors: readonly Factor[];
}

export const FACTORS = ["passkey", "code", "recoveryCode"] as const;
export type Factor = (typeof FACTORS)[number];

/** Asks the browser for a passkey. @param challenge of a first step; none to sign in without a password */
export async function answerOfPasskey(challenge?: string): Promise<object> {
  const options = await openRequest<PasskeyOptions>(
    "/auth/passkey/begin",
    challenge === undefined ? {} : { challenge },
  );
  return askPasskey(options);
}

/** Logs in and opens the session. @returns the challenge of an account with a second factor */
export async function signIn(path: string, body: Readonly<Record<string, unknown>>): Promise<Challenge | undefined> {
  try {
    openSession(await openRequest<Login>(path, body), body["rememberMe"] !== false);
    return undefined;
  } catch (error) {
    const challenge = challengeOf(error);
    if (challenge) return challenge;
    throw error;
  }
}

function challengeOf(error: unknown): Challenge | undefined {
  if (!(error instanceof PrismError) || error.code !== "SECOND_FACTOR_REQUIRED") return undefined;
  const [detail] = (error.details ?? []) as readonly Partial<Challenge>[];
  if (detail?.challenge === undefined) return undefined;
  return { challenge: detail.challenge, factors: detail.factors ?? ["code", "recoveryCode"] };
}

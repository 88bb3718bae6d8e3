import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from "@simplewebauthn/browser";

export type NewPasskeyOptions = PublicKeyCredentialCreationOptionsJSON;
export type PasskeyOptions = PublicKeyCredentialRequestOptionsJSON;

/** Whether this browser has passkeys for this page: on HTTPS and on this machine only. */
export function hasPasskeys(): boolean {
  return isSecureContext && "PublicKeyCredential" in window;
}

/** Asks the person for a new passkey. @throws Error in plain words */
export async function makePasskey(optionsJSON: NewPasskeyOptions): Promise<object> {
  const { startRegistration } = await import("@simplewebauthn/browser");
  return startRegistration({ optionsJSON }).catch(explained);
}

/** Asks the person for a passkey that they have. @throws Error in plain words */
export async function askPasskey(optionsJSON: PasskeyOptions): Promise<object> {
  const { startAuthentication } = await import("@simplewebauthn/browser");
  return startAuthentication({ optionsJSON }).catch(explained);
}

const TEXTS: Readonly<Record<string, string>> = {
  NotAllowedError: "The browser gave no passkey: it was cancelled, it took too long, or there is none for this page.",
  AbortError: "The question for the passkey was cancelled.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError:
    "The browser does not allow passkeys under this address. Open the console under the server's public URL.",
};

function explained(error: unknown): never {
  const { name } = error instanceof Error ? error : { name: "" };
  throw new Error(TEXTS[name] ?? "The browser could not use a passkey.", { cause: error });
}

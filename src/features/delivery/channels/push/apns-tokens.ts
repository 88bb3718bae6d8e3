import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SignJWT } from "jose";
import type { Clock } from "../../../../core/clock.ts";
import { ProviderDown } from "../../sender.ts";

/** Apple refuses tokens older than an hour, and new ones more often than every twenty minutes. */
const RENEW_AFTER_MS = 40 * 60_000;

export interface ApnsKeyOptions {
  /** Path of the key, as Apple gives it (.p8). */
  readonly keyFile: string;
  readonly keyId: string;
  readonly teamId: string;
}

/**
 * Provider tokens for APNs (https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns). The key is read
 * anew for each, so that a changed file needs no restart.
 */
export class ApnsTokens {
  readonly #options: ApnsKeyOptions;
  readonly #clock: Clock;
  #held: { readonly token: string; readonly renewAt: number } | null = null;
  #signing: Promise<string> | null = null;

  constructor(options: ApnsKeyOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** @param refused a token that Apple did not take; another one is given. @throws ProviderDown when the key cannot be used */
  async get(refused?: string): Promise<string> {
    const held = this.#held;
    if (held && held.token !== refused && this.#clock.elapsed() < held.renewAt) return held.token;
    this.#signing ??= this.#sign().finally(() => {
      this.#signing = null;
    });
    return this.#signing;
  }

  async #sign(): Promise<string> {
    const { keyFile, keyId, teamId } = this.#options;
    const key = await readApnsKey(keyFile);
    const token = await new SignJWT()
      .setProtectedHeader({ alg: "ES256", kid: keyId })
      .setIssuer(teamId)
      .setIssuedAt(Math.floor(this.#clock.now() / 1000))
      .sign(key);
    this.#held = { token, renewAt: this.#clock.elapsed() + RENEW_AFTER_MS };
    return token;
  }
}

/** @throws ProviderDown, saying what is wrong with the file and nothing of what it holds */
export async function readApnsKey(path: string): Promise<KeyObject> {
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "error";
    throw new ProviderDown(`apns.keyFile (${path}) cannot be read: ${code}`, { cause: error });
  }
  const key = parseKey(pem);
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  throw new ProviderDown(`apns.keyFile (${path}) is not a key of Apple's: it must be an EC key on P-256 in PEM (.p8)`);
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

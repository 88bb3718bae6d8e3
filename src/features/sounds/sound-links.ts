import { createHmac, hkdfSync } from "node:crypto";
import type { Database as Sqlite } from "better-sqlite3";
import { type Clock, type EpochMs, toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { secretsEqual } from "../../core/tokens.ts";

interface SoundLinkParts {
  readonly clock: Clock;
  /** The server's own secret; links end with it. */
  readonly secret: string;
  /** How long a link in a view is good at least. */
  readonly ttlMs: number;
  /** What links begin with. */
  baseUrl(): string;
}

export const MEDIA_PATH = "/media/sounds";

/** Links to sounds that work without credentials until their time is over: signed with HMAC-SHA-256 over the sound and the time. */
export class SoundLinks {
  readonly #parts: SoundLinkParts;
  readonly #key: Buffer;

  constructor(parts: SoundLinkParts) {
    this.#parts = parts;
    this.#key = Buffer.from(hkdfSync("sha256", parts.secret, "", "prism sound links", 32));
  }

  /** A link that is good for exactly this long. */
  linkFor(id: string, ttlMs: number): { readonly url: string; readonly urlExpiresAt: string } {
    const expiresAt = this.#parts.clock.now() + ttlMs;
    return { url: this.#url(id, expiresAt), urlExpiresAt: toRfc3339(expiresAt) };
  }

  /**
   * A link in something that is looked at again and again: the same for the whole of a period as long as links are good, and good for one more,
   * so that what shows it has one form for that time.
   */
  steadyLink(id: string): string {
    const { clock, ttlMs } = this.#parts;
    return this.#url(id, (Math.floor(clock.now() / ttlMs) + 2) * ttlMs);
  }

  /** @returns until when the link is good. @throws SIGNATURE_INVALID, LINK_EXPIRED */
  check(id: string, exp: string, sig: string): EpochMs {
    // Always computed and compared, whatever was sent.
    if (!secretsEqual(sig, this.#sign(id, exp)))
      throw new PrismError("SIGNATURE_INVALID", "The link is not one of this server");
    const expiresAt = Number(exp);
    if (expiresAt <= this.#parts.clock.now())
      throw new PrismError("LINK_EXPIRED", "The link is not good any more; ask for a new one");
    return expiresAt;
  }

  #url(id: string, expiresAt: EpochMs): string {
    const exp = String(expiresAt);
    return `${this.#parts.baseUrl()}${MEDIA_PATH}/${id}?exp=${exp}&sig=${this.#sign(id, exp)}`;
  }

  #sign(id: string, exp: string): string {
    return createHmac("sha256", this.#key).update(`${id}\n${exp}`).digest("base64url");
  }
}

/** Where a client gets a sound from; null for none, and for one that is gone. */
export type SoundUrlOf = (sound: string | null) => string | null;

/** Finds the sound that a rule or notification names. Case does not tell names apart. */
export function soundUrlOf(reader: Sqlite, links: SoundLinks): SoundUrlOf {
  const find = reader.prepare<[string], { id: string }>(
    "select id from sounds where filename = ? and deletedAt is null",
  );
  return (sound) => {
    const found = sound === null ? undefined : find.get(sound);
    return found ? links.steadyLink(found.id) : null;
  };
}

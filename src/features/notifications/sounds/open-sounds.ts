import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../../config/load.ts";
import { derivedKey, hmac } from "../../../core/crypto/hmac.ts";
import { secretsEqual } from "../../../core/crypto/tokens.ts";
import { SOUNDS_DIR } from "../../../core/data-dir.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { type Clock, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { StoredFiles } from "../../../store/stored-files.ts";
import type { SoundRow } from "./sound.ts";
import { type BucketFetch, LocalSounds, S3Sounds, type SoundFiles } from "./sound-files.ts";

interface SoundLinkParts {
  readonly clock: Clock;
  readonly secret: string;
  /** Minimum validity of a link in a view. */
  readonly ttlMs: number;
  baseUrl(): string;
}

export const MEDIA_PATH = "/media/sounds";

/**
 * Links to sounds that work without credentials until they expire: signed with HMAC-SHA-256 over
 * the sound and the time.
 */
class SoundLinks {
  readonly #parts: SoundLinkParts;
  readonly #key: KeyObject;

  constructor(parts: SoundLinkParts) {
    this.#parts = parts;
    this.#key = derivedKey(parts.secret, "prism sound links");
  }

  linkFor(id: string, ttlMs: number): { readonly url: string; readonly urlExpiresAt: string } {
    const expiresAt = this.#parts.clock.now() + ttlMs;
    return { url: this.#url(id, expiresAt), urlExpiresAt: toRfc3339(expiresAt) };
  }

  /**
   * A link for repeated views: constant during one validity period and valid for one more, so that
   * the containing answer stays the same.
   */
  steadyLink(id: string): string {
    const { clock, ttlMs } = this.#parts;
    return this.#url(id, (Math.floor(clock.now() / ttlMs) + 2) * ttlMs);
  }

  /** @returns the expiry of the link. @throws SIGNATURE_INVALID, LINK_EXPIRED */
  check(id: string, exp: string, sig: string): EpochMs {
    // Always computed and compared, whatever was sent.
    if (!secretsEqual(sig, this.#sign(id, exp)))
      throw new PrismError("SIGNATURE_INVALID", "The link was not signed by this server");
    const expiresAt = Number(exp);
    if (expiresAt <= this.#parts.clock.now())
      throw new PrismError("LINK_EXPIRED", "The link has expired; request a new one");
    return expiresAt;
  }

  #url(id: string, expiresAt: EpochMs): string {
    const exp = String(expiresAt);
    return `${this.#parts.baseUrl()}${MEDIA_PATH}/${id}?exp=${exp}&sig=${this.#sign(id, exp)}`;
  }

  #sign(id: string, exp: string): string {
    return hmac("sha256", this.#key).update(`${id}\n${exp}`).digest("base64url");
  }
}

/** The URL of a sound for clients; null for none, and for a deleted one. */
export type SoundUrlOf = (sound: string | null) => string | null;

/** Finds the sound of a rule or notification. Names ignore case. */
function soundUrlOf(reader: Sqlite, links: SoundLinks): SoundUrlOf {
  const find = reader.prepare<[string], { id: string }>(
    "select id from sounds where filename = ? and deletedAt is null",
  );
  return (sound) => {
    const found = sound === null ? undefined : find.get(sound);
    return found ? links.steadyLink(found.id) : null;
  };
}

export const MAX_SOUND_BYTES = 5_242_880;

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly sounds: SoundServices;
  }
}

/** Parts that other features use. */
export interface SoundServices {
  readonly urlOf: SoundUrlOf;
  readonly links: SoundLinks;
  /** Those in the data directory. */
  readonly stored: StoredFiles;
  /** Storage of new sounds. */
  readonly files: SoundFiles;
  /** Storage of existing sounds. @throws NOT_CONFIGURED */
  filesOf(storage: SoundRow["storage"]): SoundFiles;
}

export function openSounds({
  config,
  reader,
  clock,
  publicUrl,
  outside,
  sharedFiles,
}: Uses<"config" | "reader" | "clock" | "publicUrl" | "outside" | "sharedFiles">): SoundServices {
  const { storage, secrets } = config;
  const links = new SoundLinks({
    clock,
    secret: secrets.access,
    ttlMs: storage.signTtlMs,
    baseUrl: () => storage.cdnUrl ?? publicUrl(),
  });
  const stored = new StoredFiles(join(config.dataDir, SOUNDS_DIR), isUuid, sharedFiles);
  const local = new LocalSounds(stored);
  const remote = bucketOf(config, (maxBodyBytes) => outside({ maxBodyBytes }));
  const filesOf = (kind: SoundRow["storage"]): SoundFiles => {
    if (kind === "local") return local;
    if (!remote)
      throw new PrismError("NOT_CONFIGURED", "This sound is stored in a bucket, but no bucket is configured");
    return remote;
  };
  return { urlOf: soundUrlOf(reader, links), links, stored, files: filesOf(storage.kind), filesOf };
}

/** The configured bucket, if any, even if new sounds are stored locally. */
export function bucketOf(
  { storage }: Pick<Config, "storage">,
  /** Creates the client of the bucket, for answers of up to this many bytes. */
  bucketFetch: (maxBodyBytes: number) => BucketFetch,
): S3Sounds | undefined {
  const { bucket, region, accessKeyId, secretAccessKey, endpoint } = storage.s3;
  if (bucket === undefined || region === undefined || accessKeyId === undefined || secretAccessKey === undefined)
    return undefined;
  return new S3Sounds({ bucket, region, accessKeyId, secretAccessKey, endpoint }, bucketFetch(MAX_SOUND_BYTES));
}

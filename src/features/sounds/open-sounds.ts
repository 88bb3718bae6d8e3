import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import { SOUNDS_DIR } from "../../core/data-dir.ts";
import { PrismError } from "../../core/errors.ts";
import type { SoundsTable } from "../../store/schema.ts";
import { type BucketFetch, LocalSounds, S3Sounds, type SoundFiles } from "./sound-files.ts";
import { SoundLinks, type SoundUrlOf, soundUrlOf } from "./sound-links.ts";

export const MAX_SOUND_BYTES = 5_242_880;

export interface SoundOptions {
  readonly config: Config;
  readonly reader: Sqlite;
  readonly clock: Clock;
  publicUrl(): string;
  /** Makes what calls the bucket; it must take answers of up to this many bytes. */
  bucketFetch(maxBodyBytes: number): BucketFetch;
}

/** What the features that have to do with sounds are given. */
export interface SoundServices {
  readonly urlOf: SoundUrlOf;
  readonly links: SoundLinks;
  readonly local: LocalSounds;
  /** Where new sounds go. */
  readonly files: SoundFiles;
  /** Where sounds are that were put there before. @throws NOT_CONFIGURED */
  filesOf(storage: SoundsTable["storage"]): SoundFiles;
}

export function openSounds({ config, reader, clock, publicUrl, bucketFetch }: SoundOptions): SoundServices {
  const { storage, secrets } = config;
  const links = new SoundLinks({
    clock,
    secret: secrets.access,
    ttlMs: storage.signTtlMs,
    baseUrl: () => storage.cdnUrl ?? publicUrl(),
  });
  const local = new LocalSounds(join(config.dataDir, SOUNDS_DIR));
  const remote = bucketOf(config, bucketFetch);
  const filesOf = (kind: SoundsTable["storage"]): SoundFiles => {
    if (kind === "local") return local;
    if (!remote) throw new PrismError("NOT_CONFIGURED", "This sound is in a bucket, and none is configured");
    return remote;
  };
  return { urlOf: soundUrlOf(reader, links), links, local, files: filesOf(storage.kind), filesOf };
}

/** The bucket, if one is configured: also where new sounds go elsewhere. */
export function bucketOf(
  { storage }: Pick<Config, "storage">,
  bucketFetch: SoundOptions["bucketFetch"],
): S3Sounds | undefined {
  const { bucket, region, accessKeyId, secretAccessKey, endpoint } = storage.s3;
  if (bucket === undefined || region === undefined || accessKeyId === undefined || secretAccessKey === undefined)
    return undefined;
  return new S3Sounds({ bucket, region, accessKeyId, secretAccessKey, endpoint }, bucketFetch(MAX_SOUND_BYTES));
}

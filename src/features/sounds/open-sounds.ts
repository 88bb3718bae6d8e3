import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { SoundsTable } from "../../store/schema.ts";
import { SOUNDS_DIR } from "../backup/index.ts";
import { OutsideHosts, outsideRulesOf, SafeFetch } from "../delivery/index.ts";
import type { SoundUrlOf } from "../notifications/index.ts";
import { LocalSounds } from "./local-sounds.ts";
import { S3Sounds } from "./s3-sounds.ts";
import type { SoundFiles } from "./sound-files.ts";
import { SoundLinks } from "./sound-links.ts";
import { SoundNames } from "./sound-names.ts";

export const MAX_SOUND_BYTES = 5_242_880;

export interface SoundParts {
  readonly config: Config;
  readonly reader: Sqlite;
  readonly clock: Clock;
  publicUrl(): string;
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

export function openSounds({ config, reader, clock, publicUrl }: SoundParts): SoundServices {
  const { storage, secrets } = config;
  const links = new SoundLinks({
    clock,
    secret: secrets.access,
    ttlMs: storage.signTtlMs,
    baseUrl: () => storage.cdnUrl ?? publicUrl(),
  });
  const local = new LocalSounds(join(config.dataDir, SOUNDS_DIR));
  const remote = bucketOf(config);
  const filesOf = (kind: SoundsTable["storage"]): SoundFiles => {
    if (kind === "local") return local;
    if (!remote) throw new PrismError("NOT_CONFIGURED", "This sound is in a bucket, and none is configured");
    return remote;
  };
  return { urlOf: new SoundNames(reader, links).urlOf, links, local, files: filesOf(storage.kind), filesOf };
}

/** The bucket, if one is configured: also where new sounds go elsewhere. */
export function bucketOf(config: Pick<Config, "storage" | "env" | "webhooks">): S3Sounds | undefined {
  const { bucket, region, accessKeyId, secretAccessKey, endpoint } = config.storage.s3;
  if (bucket === undefined || region === undefined || accessKeyId === undefined || secretAccessKey === undefined)
    return undefined;
  const fetch = new SafeFetch(new OutsideHosts(outsideRulesOf(config)), { maxBodyBytes: MAX_SOUND_BYTES });
  return new S3Sounds({ bucket, region, accessKeyId, secretAccessKey, endpoint }, fetch);
}

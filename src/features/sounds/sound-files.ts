import type { Readable } from "node:stream";
import type { ByteRange } from "../../http/range.ts";

/** Where the bytes of sounds are kept. Keys are made by this program; a file's own name is never one. */
export interface SoundFiles {
  readonly kind: "local" | "s3";
  /** Resolves when the bytes will survive a crash. */
  put(key: string, bytes: Buffer, facts: { readonly mime: string; readonly sha256: string }): Promise<void>;
  /** @throws SOUND_NOT_FOUND, OVERLOADED when the place cannot be reached */
  read(key: string, range: ByteRange): Promise<Readable>;
  /** One that is gone already is no error. */
  remove(key: string): Promise<void>;
}

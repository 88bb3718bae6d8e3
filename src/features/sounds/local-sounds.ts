import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { ByteRange } from "../../http/range.ts";
import type { SoundFiles } from "./sound-files.ts";

const PARTIAL = ".partial";

/** Sounds in a folder of the data directory, each under its id (contract 12.13), for its owner only. */
export class LocalSounds implements SoundFiles {
  readonly kind = "local";
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Written aside and renamed: under its name a file is whole. */
  async put(key: string, bytes: Buffer): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const aside = `${this.#pathOf(key)}${PARTIAL}`;
    try {
      const file = await open(aside, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(aside, this.#pathOf(key));
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
    await syncDir(this.#dir);
  }

  async read(key: string, { first, last }: ByteRange): Promise<Readable> {
    try {
      const file = await open(this.#pathOf(key), "r");
      return file.createReadStream({ start: first, end: last });
    } catch (cause) {
      if (!isMissing(cause)) throw cause;
      throw new PrismError("SOUND_NOT_FOUND", "The file of this sound is gone", { cause });
    }
  }

  async remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
  }

  /** Removes what a crash has left of files. Only at a start, when nobody uploads. @returns how many there were */
  async sweep(): Promise<number> {
    const names = await readdir(this.#dir).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const partial = names.filter((name) => name.endsWith(PARTIAL) && isUuid(name.slice(0, -PARTIAL.length)));
    for (const name of partial) await rm(join(this.#dir, name), { force: true });
    return partial.length;
  }

  /** @throws TypeError for a key that is no id: nothing that anybody sent may become a path */
  #pathOf(key: string): string {
    if (!isUuid(key)) throw new TypeError("sounds are kept under their ids");
    return join(this.#dir, key);
  }
}

/** A rename is on disk when its folder is. */
async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

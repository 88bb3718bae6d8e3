import type { Database as Sqlite } from "better-sqlite3";
import type { SoundLinks } from "./sound-links.ts";

/** Finds the sound that a rule or notification names. Case does not tell names apart. */
export class SoundNames {
  readonly #find;
  readonly #links: SoundLinks;

  constructor(reader: Sqlite, links: SoundLinks) {
    this.#links = links;
    this.#find = reader.prepare<[string], { id: string }>(
      "select id from sounds where filename = ? and deletedAt is null",
    );
  }

  /** Where a client gets the sound from; null where there is none, or none any more. */
  readonly urlOf = (sound: string | null): string | null => {
    if (sound === null) return null;
    const found = this.#find.get(sound);
    return found ? this.#links.steadyLink(found.id) : null;
  };
}

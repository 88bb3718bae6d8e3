import { freeUsername } from "./accounts.ts";
import type { ImportedFiles } from "./files.ts";

interface Person {
  readonly username: string;
  readonly email: string;
  readonly invite: true;
}

/** People whom another program knows by their mail addresses alone. */
export class OldPeople {
  readonly #files: ImportedFiles;
  readonly #people = new Map<string, Person>();
  readonly #names: Set<string>;

  /** @param names usernames of accounts */
  constructor(files: ImportedFiles, names: Set<string>) {
    this.#files = files;
    this.#names = names;
  }

  /** @returns the username; undefined: it is no address, which the report says */
  add(address: string): string | undefined {
    const email = /<([^<>]+)>\s*$/.exec(address)?.[1] ?? address;
    const plain = email.trim().toLowerCase();
    const known = this.#people.get(plain);
    if (known) return known.username;
    if (!/^[^\s@,;:<>()[\]\\"]{1,64}@[^\s@,;:<>()[\]\\"]{1,190}$/.test(plain)) {
      this.#files.note("mail address", address, "not taken", "it is none");
      return undefined;
    }
    const username = freeUsername(plain, this.#names);
    this.#people.set(plain, { username, email: plain, invite: true });
    this.#files.count("people");
    return username;
  }

  /** Adds `people.yaml`. */
  write(): void {
    if (this.#people.size > 0) this.#files.add("people", { people: [...this.#people.values()] });
  }
}

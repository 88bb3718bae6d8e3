import { costOf, djangoHash, MAX_HASH_COST, MIN_HASH_COST } from "../../features/access/passwords/password-text.ts";
import { free, type ImportedFiles, slugOf, TOKENS_FILE, USERS_FILE } from "./files.ts";

/** As accounts have them. */
const USERNAME = /^(?!me$)[a-z0-9][a-z0-9._-]{1,63}$/;
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,190}$/;

export interface OldAccount {
  readonly name: string;
  readonly email?: string | undefined;
  readonly passwordHash?: string | undefined;
  readonly externalId?: string | undefined;
  readonly timezone?: string | undefined;
}

/** For the report: its secret is not readable. */
export const NO_SECOND_FACTOR = "had a second factor, which is not imported: turn it on again after the first sign-in";

/** Accounts of another program, and the tokens that they have there. */
export class OldAccounts {
  readonly #files: ImportedFiles;
  readonly #users: object[] = [];
  readonly #tokens: object[] = [];
  /** Usernames. */
  readonly names = new Set<string>(["me"]);
  readonly #addresses = new Set<string>();

  constructor(files: ImportedFiles) {
    this.#files = files;
  }

  /** @returns its username; undefined: it is not taken, which the report says */
  add({ name, email: mail, passwordHash = "", externalId, timezone }: OldAccount): string | undefined {
    const plain = name.normalize("NFC").trim().toLowerCase();
    const email = (mail ?? (EMAIL.test(plain) ? plain : "")).trim().toLowerCase();
    const isUsername = USERNAME.test(plain);
    if (!isUsername && email === "") {
      const text =
        "its name has other characters than a-z, 0-9, dot, dash and underscore; make it by prism user create";
      this.#files.note("account", name, "not taken", text);
      return undefined;
    }
    if ((isUsername && this.names.has(plain)) || this.#addresses.has(email)) {
      this.#files.note("account", name, "not taken", "another one has this name; case does not count here");
      return undefined;
    }
    // Who signs in by a mail address goes on to do so.
    const username = isUsername ? free(plain, this.names) : freeUsername(email, this.names);
    if (email !== "") this.#addresses.add(email);
    const cost = costOf(passwordHash);
    const isKnown =
      (cost !== undefined && cost >= MIN_HASH_COST && cost <= MAX_HASH_COST) || djangoHash(passwordHash) !== undefined;
    if (!isKnown) {
      const isWeak = passwordHash.startsWith("pbkdf2_sha256$");
      const form = isWeak ? "its password has fewer than 100 000 iterations" : "the form of its password is not known";
      const why = passwordHash === "" ? "has no password" : form;
      this.#files.note("account", name, "to do", `${why}; give it one by prism user password`);
    }
    this.#users.push({
      username,
      ...(email !== "" && { email }),
      ...(plain === name ? {} : { name }),
      ...(isKnown && { passwordHash }),
      ...(externalId !== undefined && { externalId }),
      ...(timezone !== undefined && { timezone }),
    });
    this.#files.count("accounts");
    return username;
  }

  /** A row for `prism import tokens`. */
  token(row: Readonly<Record<string, unknown>>): void {
    this.#tokens.push(row);
    this.#files.count("tokens");
  }

  /** Adds the tables to the files. */
  write(): void {
    this.#files.table(USERS_FILE, this.#users);
    this.#files.table(TOKENS_FILE, this.#tokens);
  }
}

/** A username for a name or a mail address. */
export function freeUsername(text: string, taken: Set<string>): string {
  const plain = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/@.*$/s, "")
    .replace(/[^a-z0-9._-]+/g, "-");
  const username = plain.replace(/^[._-]+|[._-]+$/g, "").slice(0, 50);
  // A name in another script has none of these letters.
  const local = username || slugOf(text);
  return free(local.length < 2 ? `${local}-person` : local, taken);
}

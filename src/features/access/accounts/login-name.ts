import { PrismError } from "../../../core/errors.ts";
import type { ReadDb } from "../../../store/database.ts";

/** How a login names its account (D11): exactly one of these. */
export interface LoginNames {
  readonly login?: string | undefined;
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly phone?: string | undefined;
}

type Column = "email" | "username" | "phone";

export interface LoginName {
  /** In the form that names are stored in, so that no other spelling of it counts apart: what failures are counted by. */
  readonly key: string;
  /** Where to look for it, in this order. */
  readonly columns: readonly Column[];
}

/** E.164. */
const PHONE = /^\+[1-9]\d{6,14}$/;

/** A mail address or username as it is stored and compared. */
export function plainName(text: string): string {
  return text.normalize("NFC").trim().toLowerCase();
}

/** A phone number without what people put between its digits. */
export function plainPhone(text: string): string {
  return plainName(text).replaceAll(/[\s().-]/g, "");
}

export function isPhone(text: string): boolean {
  return PHONE.test(text);
}

/** @throws VALIDATION_FAILED unless there is exactly one */
export function loginNameOf(names: LoginNames): LoginName {
  const given = (["login", "email", "username", "phone"] as const).filter((name) => names[name] !== undefined);
  const [kind] = given;
  if (given.length !== 1 || kind === undefined) {
    const message = "give one of login, email, username and phone";
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "login", code: "VALUE", message }],
    });
  }
  const text = String(names[kind]);
  const phone = plainPhone(text);
  // A plus sign begins neither an address that we take nor a username: a number is a number whatever it is called.
  if (kind === "phone" || (kind === "login" && isPhone(phone))) return { key: phone, columns: ["phone"] };
  // No username has an @: clients with one field for both send the address as a username.
  if (kind === "username" && text.includes("@")) return { key: plainName(text), columns: ["email"] };
  return { key: plainName(text), columns: kind === "login" ? ["email", "username"] : [kind] };
}

/** The account of a login name, whatever its status; undefined when there is none. Both take the same queries. */
export async function findByLoginName({ key, columns }: LoginName, db: ReadDb) {
  const found = await Promise.all(
    columns.map((column) =>
      db
        .selectFrom("users")
        .select(["id", "status", "passwordHash", "passwordChangedAt"])
        .where(column, "=", key)
        .where("deletedAt", "is", null)
        .executeTakeFirst(),
    ),
  );
  return found.find((user) => user !== undefined);
}

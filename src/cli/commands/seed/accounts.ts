import { randomBytes } from "node:crypto";
import type { Progress } from "../../output/output.ts";
import type { AdminStore } from "../access/admin-store.ts";
import type { SampleAccount } from "./samples.ts";

/** 96 bits. */
const PASSWORD_BYTES = 12;

export interface SeededAccount {
  readonly username: string;
  readonly email: string;
  readonly role: string;
  /** Shown this once; null for an account that was there before. */
  readonly password: string | null;
}

/** Makes those of the accounts that are not there, each with a password of its own; one that is there, closed ones too, stays as it is. */
export async function seedAccounts(
  { database, users, accounts }: AdminStore,
  wanted: readonly SampleAccount[],
  progress: Progress,
): Promise<SeededAccount[]> {
  const seeded: SeededAccount[] = [];
  for (const { username, email, name, role } of wanted) {
    progress.update(seeded.length, wanted.length);
    const taken = await database.read
      .selectFrom("users")
      .select("id")
      .where((e) => e.or([e("username", "=", username), e("email", "=", email)]))
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    let password: string | null = null;
    if (!taken) {
      password = randomBytes(PASSWORD_BYTES).toString("base64url");
      const passwordHash = await (await accounts()).passwords.hash(password);
      await database.write((trx) => users.create({ username, email, name, roles: [role], passwordHash }, trx));
    }
    seeded.push({ username, email, role, password });
  }
  return seeded;
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession } from "../../src/features/access/sessions/sessions.ts";
import { createUser } from "../../src/features/access/users/create-user.ts";
import { startEmbedded } from "./embedded.ts";

/** A data directory with many users. */
export interface Crowd {
  readonly dir: string;
  /** One line per user: id and access token. */
  readonly peopleFile: string;
}

const USERS_PER_COMMIT = 200;

/**
 * Creates users, each with a session and an access token as after a login, but without the cost of
 * password hashing. The directory is removed with the process.
 */
export async function makeCrowd(users: number): Promise<Crowd> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const server = await startEmbedded({ "auth.accessExpires": "12h" }, dir);
  const { audit, clock, database: db } = server.parts.base;
  const { accounts, accessTokens } = server.parts.offers;
  const people: string[] = [];
  for (let from = 0; from < users; from += USERS_PER_COMMIT) {
    const names = Array.from({ length: Math.min(USERS_PER_COMMIT, users - from) }, (_, i) => `user-${from + i}`);
    const opened = await db.write(async (trx) => {
      const made = [];
      for (const username of names) {
        const { id } = await createUser({ audit, clock }, { username, roles: ["User"] }, trx);
        made.push(await openSession(accounts, id, { ip: "127.0.0.1", userAgent: "bench" }, trx));
      }
      return made;
    });
    for (const { id, userId } of opened) people.push(`${userId} ${(await accessTokens.issue(userId, id)).token}`);
  }
  await server.stop();
  const peopleFile = join(dir, "people.txt");
  writeFileSync(peopleFile, `${people.join("\n")}\n`);
  return { dir, peopleFile };
}

/** One user that all connections share. @param dir directory of the file. */
export function onePerson(dir: string, userId: string, token: string): string {
  const peopleFile = join(dir, "people.txt");
  writeFileSync(peopleFile, `${userId} ${token}\n`);
  return peopleFile;
}

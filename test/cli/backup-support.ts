import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext } from "node:test";
import SqliteDatabase from "better-sqlite3";
import { column, temporaryDir } from "../helpers/store.ts";
import { databaseIn, makeDatabase, runJson } from "./run-cli.ts";

export interface Made {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly schema: string;
  readonly removed?: readonly string[];
}

const template = mkdtempSync(join(tmpdir(), "prism-backup-"));

before(async () => {
  await makeDatabase({ cwd: template });
  await runJson(["user", "create", "--username", "ann", "--role", "Admin"], { cwd: template });
  await runJson(["backup", "archive.tar"], { cwd: template });
});

after(() => rmSync(template, { recursive: true }));

/**
 * A working directory with a data directory that has one user, and the archive that was made of it.
 */
export function madeDir(t: TestContext): { cwd: string; data: string; archive: string } {
  const cwd = temporaryDir(t);
  for (const name of ["data", "archive.tar"]) cpSync(join(template, name), join(cwd, name), { recursive: true });
  return { cwd, data: join(cwd, "data"), archive: join(cwd, "archive.tar") };
}

export function users(dataDir: string): string[] {
  const db = new SqliteDatabase(databaseIn(dataDir), { readonly: true });
  try {
    return column(db, "select username from users where username <> 'dev' order by username");
  } finally {
    db.close();
  }
}

export function leftovers(...dirs: string[]): string[] {
  return dirs.flatMap((dir) => readdirSync(dir)).filter((name) => /partial|pending/.test(name));
}

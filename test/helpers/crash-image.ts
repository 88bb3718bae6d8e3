import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { TestPrism } from "./prism.ts";
import { temporaryDir } from "./store.ts";

/**
 * The data directory as `kill -9` would leave it at this moment, copied to a new directory that a
 * second server can start on. Taken while nothing writes, and by another process: closing a
 * descriptor of the database in this one would drop SQLite's locks.
 */
export async function crashImage(t: TestContext, prism: TestPrism): Promise<string> {
  const dir = temporaryDir(t);
  await prism.services.db.write(async () => {
    const files = readdirSync(prism.dir).filter(
      (name) => !name.includes(".lock") && !name.endsWith("-shm") && !name.endsWith(".new"),
    );
    execFileSync("cp", ["-rp", ...files.map((name) => join(prism.dir, name)), dir]);
  });
  return dir;
}

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { temporaryDir } from "../../helpers/store.ts";

const root = join(import.meta.dirname, "../../..");

/**
 * The package prism-client, made of the sources as they are. @returns its folder, which goes with
 * the test.
 */
export function makeClientPackage(t: TestContext): string {
  const dir = temporaryDir(t);
  const made = spawnSync(process.execPath, [join(root, "scripts/client-package.mjs"), dir], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
  return dir;
}

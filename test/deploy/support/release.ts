import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const script = join(import.meta.dirname, "../../../scripts/package.mjs");
let release: string | undefined;

/** A file of the release that scripts/package.mjs makes once for all tests of the process. @param end of its name */
export function releaseFile(end: string): string {
  if (release === undefined) {
    release = keptFolder();
    // A checkout without its repository has no time of a last commit.
    const env = { ...process.env, SOURCE_DATE_EPOCH: "1790000000" };
    execFileSync(process.execPath, [script, "--out", release, "--level", "0"], { env });
  }
  const name = readdirSync(release).find((each) => each.endsWith(end));
  if (name === undefined) throw new Error(`the release has no file *${end}`);
  return join(release, name);
}

/** A temporary folder that stays until the process ends. */
export function keptFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "prism-release-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

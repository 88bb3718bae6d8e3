import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../../..");
const dir = join(root, ".build/next-build");

const SOURCES = [
  ...["src", "bin", "migrations", "scripts", "console", "docs", "deploy", "examples"],
  ...["build.mjs", "package.json", "package-lock.json", "tsconfig.json", "prism.config.example.json"],
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"],
];

/** The migration that {@link nextBuild} has, and this checkout lacks. */
export const NEXT_MIGRATION = "9999_events_origin";

/**
 * A build of the version after this one: a migration adds a column to `events`, and records of a
 * cluster have a newer format. Built once for each build of this checkout. @returns its executable
 */
export function nextBuild(): string {
  const executable = join(dir, "dist/prism");
  if (existsSync(executable) && statSync(executable).mtimeMs > statSync(join(root, "dist/prism")).mtimeMs)
    return executable;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  for (const name of SOURCES) cpSync(join(root, name), join(dir, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
  const migration = "export const sql = /* sql */ `\nalter table events add column origin text;\n`;\n";
  writeFileSync(join(dir, `migrations/${NEXT_MIGRATION}.ts`), migration);
  const record = join(dir, "src/cluster/log/record.ts");
  writeFileSync(record, readFileSync(record, "utf8").replace("RECORD_FORMAT = 1", "RECORD_FORMAT = 2"));
  execFileSync(process.execPath, ["scripts/collect.mjs"], { cwd: dir, stdio: "pipe" });
  execFileSync("npm", ["run", "build"], { cwd: dir, stdio: "pipe" });
  return executable;
}

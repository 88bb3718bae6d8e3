import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext } from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { databaseIn, makeDatabase, runCli, runJson } from "./run-cli.ts";

interface Check {
  readonly name: string;
  readonly status: "PASS" | "WARN" | "FAIL";
  readonly message: string;
}

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

interface Examined {
  readonly status: number | null;
  readonly report: Report;
  /** Status by name of the check; the worst of those with one name. */
  readonly found: ReadonlyMap<string, string>;
}

const RANK = { PASS: 0, WARN: 1, FAIL: 2 };

export async function examine(
  cwd: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Examined> {
  const { status, stdout, stderr } = await runCli(["doctor", "--json", ...args], { cwd, env: { PORT: "0", ...env } });
  assert.notEqual(stdout, "", stderr);
  const report = JSON.parse(stdout) as Report;
  const found = new Map<string, Check["status"]>();
  for (const check of report.checks) {
    const known = found.get(check.name);
    if (known === undefined || RANK[check.status] > RANK[known]) found.set(check.name, check.status);
  }
  return { status, report, found };
}

const template = mkdtempSync(join(tmpdir(), "prism-doctor-"));

before(async () => {
  await makeDatabase({ cwd: template });
  await runJson(["user", "create", "--username", "ann", "--role", "Admin"], { cwd: template });
  await runJson(["token", "create", "--user", "ann"], { cwd: template });
});

after(() => rmSync(template, { recursive: true }));

/** A data directory with users, tokens and an audit trail; the paths of what is in it. */
export function madeDir(t: TestContext): { cwd: string; data: string; db: string } {
  const cwd = temporaryDir(t);
  const data = join(cwd, "data");
  cpSync(join(template, "data"), data, { recursive: true, preserveTimestamps: true });
  chmodSync(data, 0o700);
  return { cwd, data, db: databaseIn(data) };
}

export function saying(report: Report, name: string): string {
  return report.checks
    .filter((check) => check.name === name)
    .map(({ message }) => message)
    .join("\n");
}

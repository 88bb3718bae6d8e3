import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryDir } from "../helpers/store.ts";
import { runCli } from "./run-cli.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  scripts: Readonly<Record<string, string>>;
};

/** The scripts kept for users of the seeds (contract 10.3) whose thing exists in this version. */
const KEPT = [
  "dev",
  "build",
  "start",
  "test",
  "test:coverage",
  "lint",
  "type-check",
  "db:check",
  "redis:check",
  "db:migrate",
  "db:reset",
];

/** `node --flags file arguments` of a script's part: the file and what it is given. */
function nodeCall(part: string): { file: string; args: string[] } | null {
  const match = /^node (?:--watch |--import tsx )*(\S+\.(?:mjs|ts))(?: (.*))?$/.exec(part);
  return match ? { file: match[1] ?? "", args: (match[2] ?? "").split(" ").filter((arg) => arg !== "") } : null;
}

test("S0-16, S3-19, S4-11: the scripts that users of the seeds know are there", () => {
  for (const name of KEPT) assert.equal(typeof scripts[name], "string", name);
});

test("every script calls only what exists: files of this tree, installed programs, commands of prism", async (t) => {
  const cwd = temporaryDir(t);
  const { stdout: help } = await runCli(["--help"], { cwd });
  for (const [name, script] of Object.entries(scripts)) {
    for (const part of script.split(" && ")) {
      const call = nodeCall(part);
      const [program = "", ...rest] = part.split(" ");
      if (call) assert.ok(existsSync(join(root, call.file)), `${name}: ${call.file}`);
      else if (program !== "./dist/prism") assert.ok(existsSync(join(root, "node_modules/.bin", program)), part);
      const command = call?.file === "bin/prism.ts" ? call.args[0] : program === "./dist/prism" ? rest[0] : undefined;
      if (command !== undefined) assert.match(help, new RegExp(`^  ${command}\\b`, "m"), `${name}: prism ${command}`);
    }
  }
});

test("S4-16, S4-42, S4-43: db:migrate, db:check, redis:check and db:reset do it", (t) => {
  const dataDir = join(temporaryDir(t), "data");
  const env = {
    PATH: process.env["PATH"],
    HOME: dataDir,
    PRISM_DATA_DIR: dataDir,
    PORT: "0",
    PRISM_MIN_FREE_BYTES: "0",
  };
  /** The script's last part: what stands before it installs and builds, which has been done where tests run. */
  const run = (name: string, ...more: string[]): { status: number | null; stdout: string; stderr: string } => {
    const call = nodeCall(scripts[name]?.split(" && ").at(-1) ?? "");
    assert.ok(call, name);
    const args = ["--import", "tsx", call.file, ...call.args, ...more];
    return spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  };
  const migrated = run("db:migrate");
  assert.equal(migrated.status, 0, migrated.stderr);
  assert.match(migrated.stdout, /^0001_\w+ +\d{4}-/m);
  const checked = run("db:check");
  assert.equal(checked.status, 0, checked.stdout);
  assert.match(checked.stdout, /^PASS {2}database /m);
  const redis = run("redis:check");
  assert.deepEqual([redis.status, /^PASS {2}redis +embedded/m.test(redis.stdout)], [0, true]);
  assert.equal(run("db:reset").status, 2, "nobody has said yes");
  assert.equal(run("db:reset", "--yes").status, 0);
});

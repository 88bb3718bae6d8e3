import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { commandLine, runCli } from "./run-cli.ts";

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
  "db:backup",
  "db:restore",
  "db:check",
  "redis:check",
  "queue:status",
  "db:migrate",
  "db:migrate:new",
  "db:types",
  "db:reset",
  "db:seed",
];

interface Call {
  /** A file of this tree that Node runs, or a program. */
  readonly program: string;
  readonly args: readonly string[];
}

/** The calls of a script, one after the other, without variables set for them; `./dist/prism` counts as its source. */
function callsOf(script: string): Call[] {
  // After ` -- ` are the words for the Node that ready.mjs goes on with.
  return script.split(/ && | -- /).map((part) => {
    const [program = "", ...args] = part
      .replace("./dist/prism", "bin/prism.ts")
      .replace(/^([A-Z_]+=\S+ )+/, "")
      .replace(/^(node )?(--watch |--import tsx )*/, "")
      .split(" ");
    return { program, args };
  });
}

test("S0-16, S1-23, S3-19, S4-11: the scripts that users of the seeds know are there", (t) => {
  keepsPromise(t, ["S3-19", "S4-11"]);
  for (const name of KEPT) assert.equal(typeof scripts[name], "string", name);
});

test("S4: the names of its scripts for migrations, generation and deployment are aliases", () => {
  const shown = ["prisma:generate", "prisma:migrate:dev", "prisma:migrate:deploy", "prisma:reset"].map(
    (name) => scripts[name],
  );
  assert.deepEqual(shown, [
    "node scripts/ready.mjs",
    scripts["db:migrate"],
    scripts["db:migrate"],
    scripts["db:reset"],
  ]);
  assert.equal(scripts["deploy:production"], `${scripts["release"]} && ./dist/prism service install`);
});

test("every script calls only what exists: files of this tree, installed programs, commands of prism", async (t) => {
  const cwd = temporaryDir(t);
  const { stdout: help } = await runCli(["--help"], { cwd });
  for (const [name, script] of Object.entries(scripts)) {
    for (const { program, args } of callsOf(script)) {
      const path = /\.(mjs|ts)$/.test(program) ? program : join("node_modules/.bin", program);
      assert.ok(existsSync(join(root, path)), `${name}: ${path}`);
      if (program === "bin/prism.ts")
        assert.match(help, new RegExp(`^  ${args[0]}\\b`, "m"), `${name}: prism ${args[0]}`);
    }
  }
});

test("S4-16: db:migrate:new takes a name and refuses an invalid one; db:types prints the tables of the migrations", (t) => {
  keepsPromise(t, "S4-16");
  const call = (script: string, ...more: string[]) => {
    const { program, args } = callsOf(scripts[script] ?? "").at(-1) ?? { program: "", args: [] };
    return spawnSync(process.execPath, ["--import", "tsx", program, ...args, ...more], {
      cwd: root,
      encoding: "utf8",
    });
  };
  const nameless = call("db:migrate:new", "No Name");
  assert.deepEqual([nameless.status, /usage: npm run db:migrate:new/.test(nameless.stderr)], [2, true]);
  const types = call("db:types", "stream_gaps");
  assert.equal(types.stdout, "  stream_gaps: {\n    stream: string;\n    fromSeq: number;\n    toSeq: number;\n  };\n");
  assert.equal(call("db:types", "no_table").status, 2);
});

test("S4-16, S4-17, S4-18, S4-42, S4-43: db:migrate, db:seed, db:check, redis:check, db:backup, db:restore and db:reset do it", (t) => {
  keepsPromise(t, "S4-16");
  const dataDir = join(temporaryDir(t), "data");
  const env = {
    PATH: process.env["PATH"],
    HOME: dataDir,
    PRISM_DATA_DIR: dataDir,
    PORT: "0",
    PRISM_MIN_FREE_BYTES: "0",
    PRISM_ENCRYPTION_KEY: Buffer.alloc(32, "a key").toString("base64"),
    JWT_SECRET: Buffer.alloc(32, "a secret").toString("base64"),
  };
  /**
   * The script's last part: the parts before it install and build, which has been done before tests
   * run.
   */
  const run = (name: string, ...more: string[]): { status: number | null; stdout: string; stderr: string } => {
    const call = callsOf(scripts[name] ?? "").at(-1);
    assert.equal(call?.program, "bin/prism.ts", name);
    return spawnSync(...commandLine([...call.args, ...more]), { cwd: root, env, encoding: "utf8" });
  };
  const migrated = run("db:migrate");
  assert.equal(migrated.status, 0, migrated.stderr);
  assert.match(migrated.stdout, /^0001_\w+ +\d{4}-/m);
  const seeded = run("db:seed", "--yes", "--users", "0");
  assert.deepEqual([seeded.status, /^admin +\S+ +Admin +\S{16}$/m.test(seeded.stdout)], [0, true], seeded.stderr);
  const checked = run("db:check");
  assert.equal(checked.status, 0, checked.stdout);
  assert.match(checked.stdout, /^PASS {2}database /m);
  const redis = run("redis:check");
  assert.deepEqual([redis.status, /^PASS {2}redis +embedded/m.test(redis.stdout)], [0, true]);
  const archive = join(dataDir, "archive.tar");
  const backedUp = run("db:backup", archive);
  assert.deepEqual([backedUp.status, backedUp.stdout.startsWith(`${archive}\n`)], [0, true], backedUp.stderr);
  assert.equal(run("db:restore", archive).status, 2, "not confirmed");
  const restored = run("db:restore", archive, "--yes");
  assert.equal(restored.status, 0, restored.stderr);
  assert.equal(run("db:reset").status, 2, "not confirmed");
  assert.equal(run("db:reset", "--yes").status, 0);
});

import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { PrismBinary } from "./prism-binary.ts";

const SECRETS = { JWT_SECRET: "0123456789abcdef".repeat(3), PRISM_ENCRYPTION_KEY: "0123456789abcdef".repeat(4) };
/** Without one for these, the server makes the document of its routes. */
const OTHER_LIMIT = "6789";

for (const env of ["development", "production"])
  test(`the document that the build has made is that of the routes: ${env}`, (t) => {
    const { dir } = new PrismBinary(t);
    const run = (args: readonly string[], more: Readonly<Record<string, string>> = {}): SpawnSyncReturns<string> =>
      spawnSync(join(dir, "prism"), [...args, "--data-dir", join(dir, "data")], {
        cwd: dir,
        encoding: "utf8",
        maxBuffer: 1e8,
        env: { PATH: process.env["PATH"], PRISM_CACHE_DIR: dir, NODE_ENV: env, ...SECRETS, ...more },
      });
    const migrated = run(["migrate"]);
    assert.equal(migrated.status, 0, migrated.stderr);
    const stored = run(["api", "getOpenApiDocument"]);
    const made = run(["api", "getOpenApiDocument"], { PRISM_RATE_LIMIT_USER: OTHER_LIMIT });
    assert.equal(stored.status, 0, stored.stderr);
    assert.equal(made.status, 0, made.stderr);
    assert.ok(made.stdout.includes(`"perUser": ${OTHER_LIMIT}`));
    assert.equal(made.stdout.replaceAll(OTHER_LIMIT, "6000"), stored.stdout);
  });

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { ConfigRefused } from "../../src/config/load.ts";
import { generateSecrets } from "../../src/config/secrets.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { temporaryDir } from "../helpers/store.ts";
import { GOOD_SECRETS, load, problemsOf } from "./support/load.ts";

/** The configuration of a directory with a new database, whose secrets were made. */
function started(t: TestContext, workingDir: string) {
  const loaded = load(t, { workingDir });
  generateSecrets(loaded.config);
  return loaded;
}

test("S0-19: development makes its secrets once, keeps them readable by their owner only, and uses them again", (t) => {
  keepsPromise(t, "S0-19");
  const workingDir = temporaryDir(t);
  const first = started(t, workingDir);
  const file = join(workingDir, "data/secrets.json");
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(workingDir, "data")).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(join(workingDir, "data")), ["secrets.json"], "nothing is left beside it");
  assert.equal(Buffer.from(first.config.secrets.access, "base64").length, 32);
  assert.equal(first.config.secrets.encryptionKey.length, 32);
  assert.deepEqual(
    [first.origins.get("auth.jwtSecret"), first.origins.get("encryptionKey")],
    ["generated", "generated"],
  );
  for (const again of [load(t, { workingDir }), started(t, workingDir)]) {
    assert.equal(again.config.secrets.access, first.config.secrets.access);
    assert.deepEqual(again.config.secrets.encryptionKey, first.config.secrets.encryptionKey);
  }
});

test("two directories have different secrets", (t) => {
  const [one, other] = [temporaryDir(t), temporaryDir(t)].map((dir) => started(t, dir).config.secrets);
  assert.notEqual(one?.access, other?.access);
});

test("only what is missing is made: a configured secret goes before the kept one", (t) => {
  const workingDir = temporaryDir(t);
  const kept = started(t, workingDir).config.secrets;
  const { config, origins } = load(t, { workingDir, environment: { JWT_SECRET: GOOD_SECRETS.JWT_SECRET } });
  assert.equal(config.secrets.access, GOOD_SECRETS.JWT_SECRET);
  assert.deepEqual(config.secrets.encryptionKey, kept.encryptionKey);
  assert.deepEqual([origins.get("auth.jwtSecret"), origins.get("encryptionKey")], ["environment", "generated"]);
});

test("loading a configuration writes nothing, and fails only when a secret is needed", (t) => {
  const workingDir = temporaryDir(t);
  const { config } = load(t, { workingDir });
  assert.deepEqual(readdirSync(workingDir), []);
  assert.throws(() => config.secrets.access, ConfigRefused);
  assert.throws(
    () => config.secrets.encryptionKey,
    /encryptionKey \(PRISM_ENCRYPTION_KEY\) is not configured, and there is no .*data\/secrets\.json/,
  );
});

test("production does not use secrets that development has kept", (t) => {
  const workingDir = temporaryDir(t);
  started(t, workingDir);
  const problems = problemsOf(t, { workingDir, environment: { NODE_ENV: "production" } });
  assert.equal(problems.length, 2);
});

test("a damaged secrets.json is refused and left alone: what it sealed could never be read again", (t) => {
  const workingDir = temporaryDir(t);
  const file = join(workingDir, "data/secrets.json");
  mkdirSync(join(workingDir, "data"));
  for (const text of ["", "{", "null", '{"jwtSecret":"x"}', '{"jwtSecret":"x","encryptionKey":"short"}']) {
    writeFileSync(file, text);
    const { config } = started(t, workingDir);
    assert.throws(() => config.secrets.encryptionKey, /secrets\.json is damaged; restore it from a backup/);
    assert.equal(readFileSync(file, "utf8"), text);
  }
});

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ConfigRefused } from "../../src/config/load.ts";
import { temporaryDir } from "../helpers/store.ts";
import { GOOD_SECRETS, load, problemsOf } from "./support/load.ts";

test("S0-19: development makes its secrets once, keeps them readable by their owner only, and uses them again", (t) => {
  const workingDir = temporaryDir(t);
  const first = load(t, { workingDir, generateSecrets: true });
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
  for (const generateSecrets of [true, false]) {
    const again = load(t, { workingDir, generateSecrets });
    assert.equal(again.config.secrets.access, first.config.secrets.access);
    assert.deepEqual(again.config.secrets.encryptionKey, first.config.secrets.encryptionKey);
  }
});

test("two directories have different secrets", (t) => {
  const [one, other] = [temporaryDir(t), temporaryDir(t)].map(
    (workingDir) => load(t, { workingDir, generateSecrets: true }).config.secrets,
  );
  assert.notEqual(one?.access, other?.access);
});

test("only what is missing is made: a configured secret goes before the kept one", (t) => {
  const workingDir = temporaryDir(t);
  const kept = load(t, { workingDir, generateSecrets: true }).config.secrets;
  const { config, origins } = load(t, { workingDir, environment: { JWT_SECRET: GOOD_SECRETS.JWT_SECRET } });
  assert.equal(config.secrets.access, GOOD_SECRETS.JWT_SECRET);
  assert.deepEqual(config.secrets.encryptionKey, kept.encryptionKey);
  assert.deepEqual([origins.get("auth.jwtSecret"), origins.get("encryptionKey")], ["environment", "generated"]);
});

test("a command that may make none goes without, and fails only when it needs one", (t) => {
  const workingDir = temporaryDir(t);
  const { config } = load(t, { workingDir });
  assert.deepEqual(readdirSync(workingDir), []);
  assert.throws(() => config.secrets.access, ConfigRefused);
  assert.throws(() => config.secrets.encryptionKey, /encryptionKey \(PRISM_ENCRYPTION_KEY\) is not configured/);
});

test("production does not use secrets that development has kept", (t) => {
  const workingDir = temporaryDir(t);
  load(t, { workingDir, generateSecrets: true });
  const problems = problemsOf(t, { workingDir, environment: { NODE_ENV: "production" }, generateSecrets: true });
  assert.equal(problems.length, 2);
});

test("a damaged secrets.json is refused and left alone: what it sealed could never be read again", (t) => {
  const workingDir = temporaryDir(t);
  load(t, { workingDir, generateSecrets: true });
  const file = join(workingDir, "data/secrets.json");
  for (const text of ["", "{", "null", '{"jwtSecret":"x"}', '{"jwtSecret":"x","encryptionKey":"short"}']) {
    writeFileSync(file, text);
    const problems = problemsOf(t, { workingDir, generateSecrets: true });
    assert.match(problems.join(), /secrets\.json is damaged; restore it from a backup/);
    assert.equal(readFileSync(file, "utf8"), text);
  }
});

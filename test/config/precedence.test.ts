import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { sourceOf } from "../../src/config/load.ts";
import { temporaryDir } from "../helpers/store.ts";
import { GOOD_SECRETS, load, problemsOf } from "./support/load.ts";

const FILE = { "prism.config.json": { port: 4003, log: { level: "debug" } } };

test("a flag goes before the environment, that before .env, that before the file, that before the default", (t) => {
  const flags = { port: "4000" };
  const environment = { PORT: "4001" };
  const files = { ...FILE, ".env": "PORT=4002\n" };
  const noDotEnv = FILE;
  for (const [given, port, origin] of [
    [{ flags, environment, files }, 4000, "flag"],
    [{ environment, files }, 4001, "environment"],
    [{ files }, 4002, ".env"],
    [{ files: noDotEnv }, 4003, "file"],
    [{}, 3000, "default"],
  ] as const) {
    const { config, origins } = load(t, given);
    assert.deepEqual([config.port, origins.get("port")], [port, origin]);
  }
});

test("the real environment goes before .env whatever name each uses; PRISM_ names before the seeds' within one", (t) => {
  const files = { ".env": "PRISM_PORT=4002\nPRISM_LOG_LEVEL=warn\nLOG_LEVEL=error\n" };
  const { config } = load(t, { environment: { PORT: "4001" }, files });
  assert.deepEqual([config.port, config.log.level], [4001, "warn"]);
});

test("an empty variable counts as absent, as compose files leave them", (t) => {
  const files = { ".env": "LOG_LEVEL=warn\nHOST=\n" };
  const { config, origins } = load(t, { environment: { PORT: "", PRISM_PORT: "", LOG_LEVEL: "" }, files });
  assert.deepEqual([config.port, config.host, config.log.level], [3000, "127.0.0.1", "warn"]);
  assert.equal(origins.get("port"), "default");
});

test("S1-16, S4-28: .env is read in every environment, also for the environment's own name", (t) => {
  const files = { ".env": "NODE_ENV=test\nPORT=4002\n" };
  for (const NODE_ENV of ["development", "test", undefined]) {
    const { config, origins } = load(t, { environment: { NODE_ENV }, files });
    assert.deepEqual([config.env, config.port, origins.get("port")], [NODE_ENV ?? "test", 4002, ".env"]);
  }
  const secrets = Object.entries(GOOD_SECRETS).map(([name, value]) => `${name}=${value}\n`);
  const production = load(t, { environment: { NODE_ENV: "production" }, files: { ".env": secrets.join("") } });
  assert.equal(production.config.env, "production");
});

test("the file is prism.config.json of the working directory, or the one that is named", (t) => {
  const files = { ...FILE, "other.json": { $schema: "./prism.schema.json", port: 4005 } };
  const workingDir = temporaryDir(t);
  const named = load(t, { workingDir, files, configFile: join(workingDir, "other.json") });
  assert.deepEqual([named.config.port, named.config.log.level], [4005, "info"]);
  assert.equal(load(t, { workingDir }).config.port, 4003);
  const problems = problemsOf(t, { workingDir, configFile: join(workingDir, "none.json") });
  assert.match(problems.join("\n"), /none\.json cannot be read: ENOENT/);
});

test("NAME_FILE reads the value from a file, without the line end that editors leave", (t) => {
  const workingDir = temporaryDir(t);
  const at = (name: string): string => join(workingDir, name);
  const files = { level: "warn\n", token: "a token of enough characters\n", port: " 4006 " };
  const environment = {
    LOG_LEVEL_FILE: at("level"),
    PRISM_METRICS_TOKEN_FILE: at("token"),
    PRISM_PORT_FILE: at("port"),
  };
  const { config, origins } = load(t, { workingDir, files, environment });
  assert.deepEqual(
    [config.log.level, config.metricsToken, config.port],
    ["warn", "a token of enough characters", 4006],
  );
  assert.equal(origins.get("metricsToken"), "environment");
  const both = load(t, { workingDir, environment: { ...environment, LOG_LEVEL: "error" } });
  assert.equal(both.config.log.level, "error");
  const problems = problemsOf(t, { environment: { JWT_SECRET_FILE: at("nowhere") } });
  assert.deepEqual(problems, [`JWT_SECRET_FILE points at ${at("nowhere")}, which cannot be read`]);
});

test("what depends on other settings is worked out, and nothing can be changed afterwards", (t) => {
  const workingDir = temporaryDir(t);
  const { config } = load(t, { workingDir });
  assert.deepEqual(
    [config.host, config.dataDir, config.databaseFile, config.unknownRecipient],
    ["127.0.0.1", join(workingDir, "data"), join(workingDir, "data/prism.db"), "provision"],
  );
  const testing = load(t, { environment: { NODE_ENV: "test" } }).config;
  assert.deepEqual([testing.host, testing.unknownRecipient], ["127.0.0.1", "reject"]);
  for (const object of [config, config.auth, config.log, config.queues.timers, config.auth.devTokenCidrs])
    assert.ok(Object.isFrozen(object));
});

test("without a file in the working directory the one of the system is used, and its paths begin there", (t) => {
  const workingDir = temporaryDir(t);
  const etc = join(workingDir, "etc");
  mkdirSync(etc);
  const text = JSON.stringify({
    env: "test",
    port: 4007,
    dataDir: "data",
    tls: { certFile: "a.pem", keyFile: "b.pem" },
  });
  writeFileSync(join(etc, "prism.config.json"), text);
  const ofSystem = load(t, { workingDir });
  const { env, port, dataDir, tls } = ofSystem.config;
  assert.deepEqual([env, port, dataDir, tls.certFile], ["test", 4007, join(etc, "data"), join(etc, "a.pem")]);
  assert.equal(ofSystem.files.config, join(etc, "prism.config.json"));
  assert.equal(sourceOf("dataDir", ofSystem), `from dataDir in ${join(etc, "prism.config.json")}`);
  const byFlag = load(t, { workingDir, flags: { dataDir: "other" } });
  assert.deepEqual(
    [byFlag.config.dataDir, sourceOf("dataDir", byFlag)],
    [join(workingDir, "other"), "from --data-dir"],
  );
  // One file is used: the nearest.
  const nearest = load(t, { workingDir, files: FILE });
  assert.deepEqual([nearest.config.port, nearest.config.env], [4003, "development"]);
  assert.equal(nearest.files.config, join(workingDir, "prism.config.json"));
});

test("secrets.env of the system is read below the environment and .env, and above the file", (t) => {
  const workingDir = temporaryDir(t);
  const etc = join(workingDir, "etc");
  mkdirSync(etc);
  writeFileSync(join(etc, "prism.config.json"), '{"port": 4007, "log": {"level": "debug"}}');
  writeFileSync(join(etc, "secrets.env"), `JWT_SECRET=${GOOD_SECRETS.JWT_SECRET}\nPORT=4008\nSMTP_PASS='it is'\n`);
  const { config, origins, files } = load(t, { workingDir });
  assert.deepEqual(
    [config.port, config.smtp.pass, config.log.level, config.secrets.access],
    [4008, "it is", "debug", GOOD_SECRETS.JWT_SECRET],
  );
  assert.deepEqual([origins.get("port"), files.secrets?.unreadable], ["secrets.env", null]);
  assert.equal(load(t, { workingDir, environment: { PORT: "4009" } }).config.port, 4009);
  assert.equal(load(t, { workingDir, files: { ".env": "PORT=4010\n" } }).config.port, 4010);
});

test("a wrong value that another one overrides is a warning", (t) => {
  const files = { "prism.config.json": { port: "many", log: { level: "loud" } } };
  const { config, warnings } = load(t, { flags: { port: "4011" }, environment: { LOG_LEVEL: "warn" }, files });
  assert.deepEqual([config.port, config.log.level], [4011, "warn"]);
  assert.deepEqual(warnings, [
    'port must be a whole number from 0 to 65535, not "many"; --port overrides it',
    'log.level must be one of error, warn, info, debug, not "loud"; LOG_LEVEL overrides it',
  ]);
});

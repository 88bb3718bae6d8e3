import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { configTable, describeConfig, exampleConfig } from "../../src/config/describe.ts";
import { flattenOptions } from "../../src/config/option.ts";
import { OPTIONS } from "../../src/config/options.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { GOOD_SECRETS, load } from "./support/load.ts";

const shipped = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), "utf8");

test("prism.config.example.json is what derives from the settings, is accepted, and changes nothing", (t) => {
  const text = shipped("prism.config.example.json");
  assert.deepEqual(JSON.parse(text), exampleConfig(), "run npm run config:docs");
  const { config, origins, warnings } = load(t, { files: { "prism.config.json": text } });
  const { secrets: _, dataDir: _dir, databaseFile: _file, modulesDir: _modules, ...values } = config;
  const { secrets: _2, dataDir: _dir2, databaseFile: _file2, modulesDir: _modules2, ...defaults } = load(t).config;
  assert.deepEqual([values, warnings], [defaults, []]);
  assert.equal(origins.get("port"), "file");
});

test("the example holds no secret, and every other setting that has a default", () => {
  const example = JSON.stringify(exampleConfig());
  assert.doesNotMatch(example, /secret|encryptionKey|metricsToken/i);
  for (const [key, option] of flattenOptions(OPTIONS)) {
    const value = key
      .split(".")
      .reduce<unknown>((node, name) => (node as Record<string, unknown>)?.[name], exampleConfig());
    assert.deepEqual(value, option.secret ? undefined : option.fallback, key);
  }
});

test("docs/configuration.md holds the table that derives from the settings", () => {
  const page = shipped("docs/configuration.md");
  assert.ok(page.includes(`<!-- settings -->\n${configTable()}\n<!-- end of settings -->`), "run npm run config:docs");
});

test("S0-11: .env.example works as it is, and with every line of it in use no name is unknown", (t) => {
  keepsPromise(t, "S0-11");
  const text = shipped(".env.example");
  const asShipped = load(t, { files: { ".env": text } });
  assert.deepEqual(asShipped.warnings, []);
  const { secrets: _, dataDir: _dir, databaseFile: _file, modulesDir: _modules, ...values } = asShipped.config;
  const { secrets: _2, dataDir: _dir2, databaseFile: _file2, modulesDir: _modules2, ...defaults } = load(t).config;
  assert.deepEqual(values, defaults);
  const everything = text.replace(/^# (?=[A-Z][A-Z_]*=)/gm, "");
  const variables = parseEnv(everything);
  assert.ok(Object.keys(variables).length > Object.keys(parseEnv(text)).length);
  assert.deepEqual(load(t, { files: { ".env": everything } }).warnings, []);
  const known = flattenOptions(OPTIONS).flatMap(([key, { seed }]) => [
    ...seed,
    `PRISM_${key
      .replace(/([a-z])([A-Z])/g, "$1_$2")
      .replace(/[.-]/g, "_")
      .toUpperCase()}`,
  ]);
  for (const name of Object.keys(variables)) assert.ok(known.includes(name), `${name} is no setting`);
});

test("every setting says what it does, and no variable belongs to two", () => {
  const options = flattenOptions(OPTIONS);
  for (const [key, { doc }] of options) assert.ok(doc.length > 10 && !/[.\n]$/.test(doc), key);
  const seeds = options.flatMap(([, { seed }]) => seed);
  assert.equal(new Set(seeds).size, seeds.length);
});

test("the configuration in force is shown with where each value is from; secrets and credentials in URLs are masked", (t) => {
  const environment = {
    ...GOOD_SECRETS,
    PRISM_METRICS_TOKEN: "a metrics token of ours",
    DATABASE_URL: "postgres://prism:word@db.example.org/prism",
  };
  const { config, origins } = load(t, { environment, flags: { port: "8080" }, files: { ".env": "LOG_LEVEL=warn" } });
  const shown = describeConfig(config, origins);
  const byKey = new Map(shown.map(({ key, value, origin }) => [key, [value, origin]]));
  assert.deepEqual(byKey.get("port"), [8080, "flag"]);
  assert.deepEqual(byKey.get("log.level"), ["warn", ".env"]);
  assert.deepEqual(byKey.get("host"), ["127.0.0.1", "default"]);
  assert.deepEqual(byKey.get("auth.jwtSecret"), ["***", "environment"]);
  assert.deepEqual(byKey.get("auth.accessSecret"), [null, "default"]);
  assert.deepEqual(byKey.get("encryptionKey"), ["***", "environment"]);
  assert.deepEqual(byKey.get("metricsToken"), ["***", "environment"]);
  assert.deepEqual(byKey.get("databaseUrl"), ["postgres://***@db.example.org/prism", "environment"]);
  const text = JSON.stringify(shown);
  for (const secret of [...Object.values(GOOD_SECRETS), "a metrics token", "prism:word"])
    assert.ok(!text.includes(secret), secret);
  assert.equal(JSON.stringify(config.secrets), "{}");
  assert.equal(shown.length, flattenOptions(OPTIONS).length);
});

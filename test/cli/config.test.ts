import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { runCli, runJson } from "./run-cli.ts";

interface Shown {
  readonly files: { readonly config: string | null; readonly secrets: string | null };
  readonly settings: readonly {
    readonly key: string;
    readonly value: unknown;
    readonly origin: string;
    readonly source: string;
  }[];
}

const SECRET = "a-metrics-token-of-ours";

test("prism config shows what is set and the flag, variable or file of each value; secrets are masked", async (t) => {
  const cwd = temporaryDir(t);
  const etc = join(cwd, "etc");
  mkdirSync(etc);
  writeFileSync(join(etc, "secrets.env"), "PRISM_SMTP_PASS=of the file\n", { mode: 0o600 });
  writeFileSync(join(etc, "prism.config.json"), JSON.stringify({ retention: { days: 7 }, log: { level: "debug" } }));
  writeFileSync(join(cwd, ".env"), "PORT=4000\n");
  const env = { PRISM_METRICS_TOKEN: SECRET, RETENTION_DAYS: "8" };
  const { files, settings } = await runJson<Shown>(["config", "--data-dir", "other"], { cwd, env });
  assert.deepEqual(files, { config: join(etc, "prism.config.json"), secrets: join(etc, "secrets.env") });
  const found = Object.fromEntries(settings.map(({ key, value, source }) => [key, [value, source]]));
  assert.deepEqual(found, {
    port: [4000, join(cwd, ".env")],
    dataDir: [join(cwd, "other"), "--data-dir"],
    "auth.jwtSecret": ["***", "generated with a new database"],
    encryptionKey: ["***", "generated with a new database"],
    "smtp.pass": ["***", join(etc, "secrets.env")],
    "retention.days": [8, "RETENTION_DAYS"],
    "log.level": ["debug", join(etc, "prism.config.json")],
    minFreeBytes: [0, "PRISM_MIN_FREE_BYTES"],
    metricsToken: ["***", "PRISM_METRICS_TOKEN"],
  });

  const human = await runCli(["config"], { cwd, env });
  assert.match(human.stdout, /^SETTING +VALUE +FROM\n[\s\S]*^port +4000 +\/.*\/\.env$/m);
  assert.doesNotMatch(human.stdout + human.stderr, new RegExp(`${SECRET}|of the file`));
});

test("prism config --all shows the defaults too, and a setting that is not valid is exit 3", async (t) => {
  const cwd = temporaryDir(t);
  const { settings } = await runJson<Shown>(["config", "--all"], { cwd });
  assert.ok(settings.length > 150);
  const shutdown = settings.find(({ key }) => key === "shutdownMs");
  assert.deepEqual([shutdown?.value, shutdown?.source], [10_000, "default"]);
  const refused = await runCli(["config"], { cwd, env: { PORT: "many" } });
  assert.deepEqual([refused.status, refused.stdout], [3, ""]);
  assert.match(refused.stderr, /PORT must be a whole number|PORT /);
});

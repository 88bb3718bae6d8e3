import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseEnv } from "node:util";
import { secretsFileText } from "../../src/config/files/secrets-file.ts";
import { Migration } from "./import-migration.ts";
import { runCli } from "./run-cli.ts";

const CONFIGURATION = {
  route: {
    receiver: "ops",
    group_by: ["alertname"],
    routes: [
      { receiver: "chat", matchers: ['team="db"'], continue: true, repeat_interval: "12h" },
      { receiver: "sink", matchers: ['severity="info"'], mute_time_intervals: ["nights"] },
    ],
  },
  inhibit_rules: [
    { source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: ["host"] },
  ],
  time_intervals: [{ name: "nights", time_intervals: [{ times: [{ start_time: "22:00", end_time: "24:00" }] }] }],
  receivers: [
    {
      name: "ops",
      email_configs: [{ to: "ada@example.com", send_resolved: true }],
      webhook_configs: [
        {
          url: "http://127.0.0.1:9/hook",
          max_alerts: 5,
          http_config: { authorization: { credentials: "open 'sesame'" } },
        },
      ],
    },
    { name: "chat", slack_configs: [{ api_url: "https://hooks.slack.com/services/T0/B0/secret" }] },
    { name: "sink" },
  ],
};

test("files of an import, applied, store what the import itself stores", async (t) => {
  const [direct, byFiles] = [await Migration.start(t), await Migration.start(t)];
  for (const migration of [direct, byFiles]) {
    await migration.user("ada");
    migration.write("alertmanager.yml", CONFIGURATION);
  }
  const imported = await direct.run();
  assert.equal(imported.status, 0, imported.stderr);
  const before = await byFiles.stored();
  const written = await byFiles.run("--out", "oncall");
  assert.equal(written.status, 0, written.stderr);
  const text = readFileSync(join(byFiles.folder, "oncall/default.yaml"), "utf8");
  assert.doesNotMatch(text, /sesame|T0\/B0/);
  const secrets = join(byFiles.folder, "oncall/import-secrets.env");
  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  assert.deepEqual(await byFiles.stored(), before);
  const applied = await byFiles.cli("apply", "-f", "oncall", "--secrets-file", secrets, "--yes");
  assert.equal(applied.status, 0, applied.stderr);
  const [one = "", other = ""] = await Promise.all(
    [direct, byFiles].map(async (each) => {
      const { stdout } = await each.cli("export", "config");
      return stdout.replace(/PRISM_SECRET_\w+/g, "PRISM_SECRET");
    }),
  );
  assert.match(one, /name: "ops: webhook"/);
  assert.equal(other, one);
  const again = await byFiles.run("--out", "oncall");
  assert.equal(again.status, 0, again.stderr);
  assert.equal(readFileSync(join(byFiles.folder, "oncall/default.yaml"), "utf8"), text);
});

test("files that an import did not write are replaced with --force only, and no server is asked", async (t) => {
  const migration = await Migration.start(t);
  const receivers = [...CONFIGURATION.receivers, { name: "sns", sns_configs: [{ topic_arn: "arn:aws:sns:a:1:b" }] }];
  migration.write("alertmanager.yml", { ...CONFIGURATION, receivers });
  const run = (...flags: string[]) =>
    runCli(["import", "alertmanager", "alertmanager.yml", "--out", ".", ...flags], { cwd: migration.folder, env: {} });
  const left = await run();
  assert.equal(left.status, 7);
  assert.match(left.stderr, /Amazon SNS/);
  writeFileSync(join(migration.folder, "default.yaml"), "version: 1\n");
  const refused = await run("--allow-empty");
  assert.equal(refused.status, 7);
  assert.match(refused.stderr, /default\.yaml was not written by prism import alertmanager; --force replaces it/);
  const done = await run("--allow-empty", "--force", "--json");
  assert.equal(done.status, 8, done.stderr);
  assert.deepEqual(JSON.parse(done.stdout).files, ["default.yaml", "import-secrets.env"]);
  const file = join(migration.folder, "default.yaml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, `${text}# mine\n`);
  const kept = await run("--allow-empty");
  assert.equal(kept.status, 7);
  assert.match(kept.stderr, /default\.yaml was changed since prism import alertmanager wrote it; --force replaces it/);
  assert.equal(readFileSync(file, "utf8"), `${text}# mine\n`);
  assert.equal((await run("--allow-empty", "--project", "shop")).status, 8);
  writeFileSync(file, text);
  assert.equal((await run("--allow-empty")).status, 8);
});

test("values of secrets files are read as they were", () => {
  const values = new Map(
    ["plain", "two words", "it's", 'a "word"', "a\\nb", "line\nbreak", "#5", "a=b", "$HOME", " x "].map((value, at) => [
      `PRISM_SECRET_${at}`,
      value,
    ]),
  );
  assert.deepEqual({ ...parseEnv(secretsFileText(values)) }, Object.fromEntries(values));
  assert.throws(() => secretsFileText(new Map([["PRISM_SECRET_A", "'\"`"]])), /has each kind of quotes/);
});

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { examine, saying } from "./doctor-support.ts";
import { RunningCli, runCli, runJson } from "./run-cli.ts";

const FILE = `version: 1
projects:
  - slug: duty
    name: Duty
    receivers:
      - { name: Grafana, preset: grafana, token: { env: PRISM_SECRET_GRAFANA } }
`;

test("prism serve applies its directory at the start and at SIGHUP; status --strict and doctor say what is broken", async (t) => {
  const cwd = temporaryDir(t);
  mkdirSync(join(cwd, "oncall"));
  const write = (text: string): void => writeFileSync(join(cwd, "oncall/duty.yaml"), text);
  const env = {
    PRISM_CONFIGURATION_DIR: "oncall",
    PRISM_CONFIGURATION_WATCH: "1h",
    PRISM_SECRET_GRAFANA: "rcv_0123456789abcdefghijklmnopqr",
  };
  write(FILE.replace("grafana,", "nobody,"));
  const refused = await runCli(["serve", "--port", "0"], {
    ...{ cwd, ownProcess: true },
    env: { ...env, PRISM_CONFIGURATION_ON_ERROR: "refuse" },
  });
  assert.equal(refused.status, 3, refused.stderr);
  assert.match(refused.stderr, /configuration\.dir is not applied: duty\.yaml:6:\d+: receivers "Grafana", preset: /);

  write(FILE);
  const server = new RunningCli(t, ["serve", "--port", "0"], { cwd, env });
  await server.until(/"msg":"ready"/);
  const { managed } = await runJson<{ managed: { name: string; source: string }[] }>(["managed"], { cwd });
  assert.deepEqual(
    managed.map(({ name, source }) => `${name} ${source}`),
    ["duty dir", "Grafana dir"],
  );
  assert.equal((await examine(cwd, [], env)).found.get("configuration.dir"), "PASS");
  assert.equal((await runCli(["status", "--strict"], { cwd })).status, 0);

  write("version: 1\nprojects: {}\n");
  assert.match(saying((await examine(cwd, [], env)).report, "configuration.dir"), /not those that are applied/);
  server.signal("SIGHUP");
  await server.until(/configuration\.dir is not applied/);
  const strict = await eventually("it is red", async () => {
    const status = await runCli(["status", "--strict"], { cwd });
    return status.status === 8 ? status : null;
  });
  assert.match(strict.stderr, /the files of configuration\.dir are not applied/i);
  const { found, report } = await examine(cwd, [], env);
  assert.equal(found.get("configuration.dir"), "FAIL");
  assert.match(saying(report, "configuration.dir"), /^not applied: duty\.yaml:2:\d+: /);
  assert.ok(!server.stdout.includes("rcv_0123"), "no secret is logged");
  server.signal("SIGTERM");
  assert.equal(await server.ended(), 0);
});

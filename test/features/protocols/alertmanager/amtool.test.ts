import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { applyConfiguration } from "./support/apply.ts";
import { amtool, type CommandResult, makeKey, urlWithKey } from "./support/programs.ts";

const CONFIGURATION = `
route:
  receiver: default
  group_by: [alertname, 'job']
  group_wait: 10s
  routes:
  - receiver: db
    matchers: [ team="db", 'env!~"dev|test"' ]
    continue: true
    mute_time_intervals: [ "on weekends" ]
    routes: [ { receiver: critical, matchers: [ severity="critical" ], repeat_interval: 1h } ]
  - { receiver: "y", matchers: [ 'quote="x\\"y\\\\z"' ], active_time_intervals: [ "on weekends" ] }
inhibit_rules:
- { source_matchers: [ severity="critical" ], target_matchers: [ severity="warning" ], equal: [ instance ] }
time_intervals:
- name: on weekends
  time_intervals:
  - { times: [ { start_time: '09:00', end_time: '24:00' } ], weekdays: [ 'saturday', 'sunday' ], location: Europe/Berlin }
  - { days_of_month: [ '1:5', '-3:-1' ], months: [ 'january:march', '12' ], years: [ '2026:2030' ] }
receivers: [ { name: default }, { name: db }, { name: critical }, { name: "y" } ]
`;

function succeeded({ code, stdout, stderr }: CommandResult): string {
  assert.deepEqual([code, stderr], [0, ""], stdout);
  return stdout;
}

test("every command of amtool works against a project", async (t) => {
  const prism = await startPrism(t);
  await applyConfiguration(prism, CONFIGURATION);
  const url = urlWithKey(prism, await makeKey(prism));
  const run = async (...parameters: string[]) => succeeded(await amtool(url, ...parameters));

  await t.test("alert add and query", async () => {
    await run("alert", "add", "Disk", "team=db", "instance=i1", "severity=critical", "--annotation=summary=full");
    await run("alert", "add", "alertname=Slow", "team=web", "--generator-url=http://p/g?x=1");
    await run("alert", "add", "Gone", "--start=2026-01-01T00:00:00Z", "--end=2026-01-01T01:00:00Z");
    assert.match(await run("alert"), /Disk +\S+ \S+ UTC +full +active[\s\S]*Slow/);
    assert.match(await run("alert", "query", "Disk"), /^Alertname.*\nDisk .*\n$/);
    assert.equal((await run("alert", "query", "team=~w.*", "-o", "simple")).includes("Disk"), false);
    const json = JSON.parse(await run("alert", "query", "--receiver=db", "-o", "json")) as { fingerprint: string }[];
    assert.equal(json.length, 0, "the child route takes it");
    assert.match(
      await run("alert", "query", "-o", "extended"),
      /Labels +Annotations +Starts At[\s\S]*alertname="Disk"/,
    );
    assert.equal((await amtool(url, "alert", "query", "--receiver=(")).code, 1);
  });

  await t.test("silence add, query, update, expire and import", async () => {
    const id = (await run("silence", "add", "alertname=Disk", "-c", "disk is full", "-a", "ada", "-d", "2h")).trim();
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.equal((await run("alert")).includes("Disk"), false, "a silenced alert is not active");
    assert.match(await run("alert", "query", "--silenced"), /Disk .* suppressed/);
    assert.match(
      await run("silence", "query", "--created-by=ada"),
      new RegExp(`${id} +alertname="Disk" .* ada +disk is full`),
    );
    assert.equal(await run("silence", "query", "-q", "alertname=Other"), "");
    assert.ok((await run("silence", "update", "-d", "3h", "-c", "longer", id)).includes(id), "the id stays");
    assert.match(await run("silence", "query", "--within=4h"), /longer/);
    const exported = await run("silence", "query", "-o", "json");
    await run("silence", "expire", id);
    assert.match(await run("silence", "query", "--expired"), /longer/);
    assert.match(await run("alert"), /Disk/);
    const file = join(temporaryDir(t), "silences.json");
    writeFileSync(file, exported.replace(id, "0198c0de-0000-7000-8000-000000000000"));
    await run("silence", "import", file);
    await run("silence", "import", "-f", file);
    const [first, second] = (await run("silence", "query", "-q")).trim().split("\n");
    assert.ok(first && second && first !== second, "both imports have new ids");
    await run("silence", "expire", first, second);
    assert.equal(await run("silence", "query", "-q"), "");
  });

  await t.test("a silence that is refused says why", async () => {
    const broad = await amtool(url, "silence", "add", "alertname=~.+", "-c", "all");
    assert.deepEqual([broad.code, /silences:broad/.test(broad.stderr)], [1, true], broad.stderr);
    const scopes = ["silences:write", "silences:broad"];
    const { body } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", { scopes });
    const id = succeeded(await amtool(urlWithKey(prism, body.key), "silence", "add", "alertname=~.+", "-c", "all"));
    await run("silence", "expire", id.trim());
    const turned = await amtool(
      url,
      "silence",
      "add",
      "a=b",
      "-c",
      "x",
      "--start=2099-01-02T00:00:00Z",
      "--end=2099-01-01T00:00:00Z",
    );
    assert.equal(turned.code, 1);
    assert.equal((await amtool(url, "silence", "expire", "0198c0de-0000-7000-8000-000000000000")).code, 1);
  });

  await t.test("config show and routes, from the project's routing", async () => {
    const text = await run("config", "show");
    const file = join(temporaryDir(t), "alertmanager.yml");
    writeFileSync(file, text);
    assert.match(succeeded(await amtool(url, "check-config", file)), /SUCCESS[\s\S]*1 inhibit rules[\s\S]*4 receivers/);
    const tree = await run("config", "routes");
    assert.match(
      tree,
      /default-route +receiver: default[\s\S]*\{env!~"dev\|test",team="db"\} +continue: true +receiver: db/,
    );
    for (const [labels, receivers] of [
      [["a=b"], "default"],
      [["team=db"], "db"],
      [["team=db", "severity=critical"], "critical"],
      [["team=db", "env=test"], "default"],
    ] as const)
      assert.equal((await run("config", "routes", "test", ...labels)).trim(), receivers);
  });

  await t.test("cluster show, and the version", async () => {
    assert.match(await run("cluster", "show"), /disabled/);
    const noKey = await amtool(`${prism.url}/alertmanager`, "alert");
    assert.equal(noKey.code, 1, "without a key");
  });
});

test("a project's path shows this project only", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/projects", { name: "shop", slug: "shop" });
  const key = await makeKey(prism, "shop");
  succeeded(await amtool(urlWithKey(prism, key, "shop"), "alert", "add", "Shop"));
  assert.match(succeeded(await amtool(urlWithKey(prism, key, "shop"), "alert")), /Shop/);
  assert.match(succeeded(await amtool(urlWithKey(prism, key), "alert")), /Shop/, "the key's own project");
  const others = await makeKey(prism);
  assert.equal((await amtool(urlWithKey(prism, others, "shop"), "alert")).code, 1);
  assert.equal(succeeded(await amtool(urlWithKey(prism, others), "alert")).includes("Shop"), false);
});

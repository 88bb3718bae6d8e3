import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { runCli, runJson } from "./run-cli.ts";

interface Listed {
  readonly keys: readonly { readonly id: string; readonly name: string; readonly project: string }[];
}

test("keys of Opsgenie's and PagerDuty's API are made, listed, rotated and revoked as API keys are", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/projects", { name: "Duty", slug: "duty" });
  const options = { cwd: prism.dir, env: { PRISM_DATA_DIR: prism.dir } };
  const run = (line: string) => runCli(line.split(" "), options);
  const send = (key: string) =>
    fetch(`${prism.url}/v2/alerts`, {
      method: "POST",
      headers: { Authorization: `GenieKey ${key}`, "Content-Type": "application/json" },
      body: '{"message":"Disk"}',
    });

  const made = await run("keys create --kind opsgenie --name Zabbix --project duty --label team=platform");
  assert.equal(made.status, 0, made.stderr);
  const key = made.stdout.trim();
  assert.match(key, /^[0-9a-zA-Z-]{32,}$/);
  assert.match(made.stderr, /of project duty\. It is not shown again\.$/m);
  assert.equal((await send(key)).status, 202);
  const { body } = await prism.get<{ data: { labels: Record<string, string> }[] }>("/api/v1/alerts?projectId=duty");
  assert.equal(body.data[0]?.labels["team"], "platform");

  const other = await runJson<Record<string, unknown>>(
    ["keys", "create", "--kind", "pagerduty", "--name", "Old"],
    options,
  );
  assert.deepEqual(
    [other["kind"], other["name"], other["labels"], typeof other["key"]],
    ["pagerduty", "Old", {}, "string"],
  );

  const listed = async (kind: string) => (await runJson<Listed>(["keys", "list", "--kind", kind], options)).keys;
  const [zabbix, ...more] = await listed("opsgenie");
  assert.deepEqual([zabbix?.name, zabbix?.project, more.length], ["Zabbix", "duty", 0]);
  assert.equal((await listed("pagerduty"))[0]?.id, other["id"]);
  const text = (await run("keys list --kind opsgenie --project duty")).stdout;
  assert.match(text, /^ID +PROJECT +NAME +PREFIX +LAST USED +LABELS\n\S+ +duty +Zabbix +\S+ +\S+ +team=platform\n$/);
  assert.match(
    (await run("keys list")).stdout,
    /^ID +PROJECT +NAME +PREFIX +STATE[\s\S]*\n\nID +PROJECT +KIND +NAME[\s\S]* opsgenie +Zabbix [\s\S]* pagerduty +Old /,
  );
  const both = await runJson<Listed & { keysOfKinds: Listed["keys"] }>(["keys", "list"], options);
  assert.deepEqual(
    [both.keys.some(({ name }) => name === "Zabbix"), both.keysOfKinds.map(({ name }) => name).sort()],
    [false, ["Old", "Zabbix"]],
  );

  for (const [line, why] of [
    [`keys revoke ${zabbix?.id} --kind opsgenie --project default`, "there is no opsgenie key \\S+ in default"],
    [`keys rotate ${zabbix?.id} --kind opsgenie --project default`, "there is no opsgenie key \\S+ in default"],
    [`keys revoke ${zabbix?.id} --kind pagerduty`, "there is no pagerduty key"],
    [`keys revoke ${zabbix?.id}`, "There is no API key .* give --kind"],
    [`keys rotate ${zabbix?.id}`, "There is no API key .* give --kind"],
  ] as const) {
    const { status, stderr } = await run(line);
    assert.equal(status, 6, stderr);
    assert.match(stderr, new RegExp(why), line);
  }
  assert.equal((await send(key)).status, 202, "nothing has changed");

  const rotated = await run(`keys rotate ${zabbix?.id} --kind opsgenie --project duty --grace 0`);
  assert.equal(rotated.status, 0, rotated.stderr);
  assert.match(rotated.stderr, /the old one is revoked\.$/m);
  assert.equal((await send(rotated.stdout.trim())).status, 202);
  assert.notEqual((await send(key)).status, 202);
  const revoke = `keys revoke ${zabbix?.id} --kind opsgenie --project duty`;
  assert.equal((await run(revoke)).stdout, `${zabbix?.id} is revoked\n`);
  assert.notEqual((await send(rotated.stdout.trim())).status, 202);
  assert.equal((await run(revoke)).status, 6);
});

import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Setting } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const PASSWORD = "the password of the mail server";

async function settingsAt(node: ClusterNode, token: string, values?: object): Promise<readonly Setting[]> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const change = values === undefined ? {} : { method: "PUT", body: JSON.stringify({ values }) };
  const reply = await fetch(`${node.url}/api/v1/settings`, { headers, ...change });
  assert.equal(reply.status, 200, await reply.clone().text());
  return ((await reply.json()) as { data: readonly Setting[] }).data;
}

const consoleValue = (settings: readonly Setting[], key: string): unknown => {
  const found = settings.find((each) => each.key === key);
  return found?.origin === "console" ? found.value : found?.origin;
};

test("settings made in the console are in force at the next leader, those of before the cluster too", async (t) => {
  const servers = await startNats(t);
  const cluster = await makeCluster(t, servers, ["a", "b"]);
  const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
  await a.alone(async (token) => {
    await settingsAt(a, token, { "alert.errorThreshold": 5 });
  });
  assert.equal(a.command("cluster", "init").status, 0);
  await a.start();
  assert.equal((await cluster.leader()).name, "a");
  await b.start();
  const token = await cluster.token();
  const values = { "retention.notificationDays": 7, "smtp.host": "mail.example.org", "smtp.pass": PASSWORD };
  await settingsAt(b, token, values);
  await cluster.requireEqual();
  for (const name of ["prism.db", "prism.db-wal"])
    assert.ok(!readFileSync(join(b.dir, name)).includes(PASSWORD), `${name} has it sealed`);
  await a.kill();
  const next = await eventually("the other node leads", async () => {
    const leader = await cluster.leader();
    return leader === b ? leader : undefined;
  });
  const keys = ["alert.errorThreshold", "retention.notificationDays", "smtp.host", "smtp.pass", "timezone"];
  const found = await settingsAt(next, token);
  assert.deepEqual(
    keys.map((key) => consoleValue(found, key)),
    [5, 7, "mail.example.org", "***", "default"],
  );
  assert.equal(statSync(join(b.dir, "settings.json")).mode & 0o777, 0o600);
  const shown = b.command("config", "--json");
  assert.match(shown.stdout, /"retention\.notificationDays"[^}]*7/, shown.stderr);
  await settingsAt(next, token, { "retention.notificationDays": null, "alert.errorThreshold": 6 });
  await a.start();
  await cluster.requireEqual();
  await next.stop();
  const again = await settingsAt(await cluster.leader(), token);
  assert.equal(other(cluster, await cluster.leader()), b);
  assert.deepEqual(
    [consoleValue(again, "alert.errorThreshold"), consoleValue(again, "retention.notificationDays")],
    [6, "default"],
  );
});

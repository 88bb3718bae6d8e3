import assert from "node:assert/strict";
import test from "node:test";
import { closing, openForReading } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, rolesOf, startCluster } from "./support/nodes.ts";

const TABLES = ["incident_facts", "incident_days", "report_marks"] as const;
/** A minute after its end an incident is counted, and every half minute is looked. */
const PATIENCE_MS = 240_000;

const rowsAt = ({ file }: ClusterNode, table: (typeof TABLES)[number]) =>
  closing(openForReading(file), (reader) => reader.prepare(`select * from ${table}`).all());

test("what reports keep of an incident is on the follower as on the leader", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"]);
  const [leader, follower] = await rolesOf(cluster);
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${await cluster.token()}` };
  const ask = async (method: string, path: string, body?: object) => {
    const reply = await fetch(`${leader.url}/api/v1${path}`, {
      ...{ method, headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    assert.ok(reply.ok, `${method} ${path}: ${reply.status}`);
    return (await reply.json()) as { readonly data: readonly { readonly id: string }[] };
  };
  await ask("POST", "/alerts", { alerts: [{ labels: { alertname: "Disk", host: "db-2", severity: "critical" } }] });
  const id = (await ask("GET", "/incidents")).data[0]?.id;
  await ask("POST", `/incidents/${id}/acknowledge`, {});
  await ask("POST", `/incidents/${id}/resolve`, {});
  await eventually("it is counted", () => rowsAt(leader, "incident_facts").length > 0, PATIENCE_MS);
  await cluster.requireEqual();
  for (const table of TABLES) assert.deepEqual(rowsAt(follower, table), rowsAt(leader, table), table);
  assert.equal(rowsAt(follower, "incident_facts").length, 1);
});

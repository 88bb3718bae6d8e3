import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { connect } from "@nats-io/transport-node";
import type { Cluster, ClusterComparison } from "../../src/client/api-types.gen.ts";
import { closing, openForWriting } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

test("all nodes compare their tables at one record while events come; a changed row and a stopped node show", async (t) => {
  const servers = await startNats(t);
  const replay = await recorded(t, servers[0]?.address ?? "");
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const leader = await cluster.leader();
  const standby = other(cluster, leader);
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${await cluster.token()}` };
  const state = async () => {
    const reply = await fetch(`${leader.url}/api/v1/cluster`, { headers });
    return ((await reply.json()) as { cluster: Cluster }).cluster;
  };
  let asked = 0;
  const compare = async () => {
    const reply = await fetch(`${leader.url}/api/v1/cluster/compare`, { method: "POST", headers });
    if (reply.status === 200) asked++;
    return [reply.status, (await reply.json()) as ClusterComparison] as const;
  };
  /** Storing waits for a second at most; a busy node takes longer to begin. */
  const compared = () =>
    eventually("each node answers in time", async () => {
      const [status, found] = await compare();
      return status === 200 && found.nodes.every(({ result }) => result !== "no-answer") ? found : undefined;
    });
  await eventually("the other node is heard", async () => (await state()).nodes.length === 2);
  assert.equal((await state()).comparison, null);

  let isOver = false;
  let stored = 0;
  const body = JSON.stringify({ type: "door.opened", payload: {} });
  const sending = (async () => {
    for (; !isOver; stored++) {
      const reply = await fetch(`${leader.url}/api/v1/events`, { method: "POST", headers, body });
      assert.equal(reply.status, 202);
    }
  })();
  await eventually("events are stored", () => stored > 20);
  const equal = await compared();
  isOver = true;
  await sending;
  assert.deepEqual(equal.nodes, [{ name: standby.name, result: "equal", tables: [] }]);
  assert.ok(equal.sequence > 0 && equal.rows > 20, JSON.stringify(equal));
  assert.equal(equal.leader, leader.name);

  const shown = await state();
  assert.deepEqual([shown.comparison, shown.backup], [equal, null]);
  const differences = ({ warnings }: Cluster) => warnings.filter((text) => text.includes("differs"));
  assert.deepEqual(differences(shown), []);
  await cluster.requireEqual();
  closing(openForWriting({ file: standby.file, busyTimeoutMs: 5000 }), (connection) =>
    connection.prepare("update events set type = 'door.closed' where seq = (select min(seq) from events)").run(),
  );
  const before = replay.answers();
  replay.ask();
  replay.answersLater();
  const differing = await compared();
  assert.equal(replay.answers(), before, "a question that is sent again is not answered");
  assert.deepEqual(differing.nodes, [{ name: standby.name, result: "differs", tables: ["events"] }]);
  assert.deepEqual(differences(await state()), [
    `The node ${standby.name} differs from ${leader.name} in events: prism cluster join there copies it`,
  ]);

  const command = await eventually("each node answers the command in time", () => {
    const done = leader.command("cluster", "compare", "--json");
    if (done.stdout !== "") asked++;
    return done.stdout === "" || done.stdout.includes("no-answer") ? undefined : done;
  });
  assert.equal(command.status, 8, command.stderr);
  assert.deepEqual(Object.keys(JSON.parse(command.stdout) as object).sort(), Object.keys(equal).sort());
  assert.match(command.stderr, new RegExp(`not equal to ${leader.name}: ${standby.name}`));

  await standby.kill();
  await eventually("it is gone", async () => (await state()).nodes.some(({ live }) => !live));
  const [, alone] = await compare();
  assert.deepEqual(alone.nodes, [{ name: standby.name, result: "no-answer", tables: [] }]);
  const audit = await fetch(`${leader.url}/api/v1/audit?action=cluster.compare`, { headers });
  assert.equal(((await audit.json()) as { data: object[] }).data.length, asked);

  const silent = leader.command("cluster", "compare");
  assert.equal(silent.status, 8, silent.stderr);
  assert.match(silent.stderr, new RegExp(`did not answer: ${standby.name}$`, "m"));
  assert.doesNotMatch(silent.stderr, /not equal/);
  const shownStatus = leader.command("status").stdout;
  assert.match(shownStatus, /^STATUS +attention$/m);
  assert.match(shownStatus, new RegExp(`^cluster: The node ${standby.name} is gone`, "m"));

  assert.equal(leader.command("backup").status, 0);
  const { backup } = await state();
  assert.ok(backup !== null && existsSync(backup.file) && backup.bytes > 0, JSON.stringify(backup));
});

test("a single server has nothing to compare", async (t) => {
  const prism = await startPrism(t);
  const reply = await prism.post<{ error: { code: string } }>("/api/v1/cluster/compare");
  assert.deepEqual([reply.status, reply.body.error.code], [409, "NO_STANDBY"]);
});

/** One who hears the nodes, has no secret, and sends again what the first comparison was. */
async function recorded(t: TestContext, server: string) {
  const nats = await connect({ servers: server });
  t.after(() => nats.close());
  const heard: { readonly subject: string; readonly data: Uint8Array }[] = [];
  const again = new Set<string>();
  let isMixing = false;
  const textOf = (data: Uint8Array) => Buffer.from(data).toString("base64");
  nats.subscribe("prism.prism.digest.>", {
    callback(_error, { subject, data }) {
      if (again.has(textOf(data))) return;
      if (!isMixing) heard.push({ subject, data });
      else if (subject !== heard[0]?.subject)
        for (const old of heard) {
          again.add(textOf(old.data));
          nats.publish(subject, old.data);
        }
    },
  });
  const asked: Uint8Array[] = [];
  nats.subscribe("prism.prism.digest", { callback: (_error, { data }) => void asked.push(data) });
  let answers = 0;
  nats.subscribe("prism.prism.digest.>", {
    callback: (_error, { subject, data }) => {
      if (subject === heard[0]?.subject && !again.has(textOf(data))) answers++;
    },
  });
  return {
    answers: () => answers,
    ask() {
      for (const data of asked.slice()) nats.publish("prism.prism.digest", data);
    },
    answersLater() {
      isMixing = true;
    },
  };
}

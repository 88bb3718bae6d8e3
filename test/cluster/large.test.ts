import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { openLog, startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";

const EVENTS = 40;

/** 4 MB that cannot be compressed: at least six messages. */
function largeBatch(type: string): string {
  const events = Array.from({ length: EVENTS }, () => ({
    type,
    payload: { text: randomBytes(75_000).toString("base64") },
  }));
  return JSON.stringify(events);
}

function send(node: ClusterNode, token: string, body: string): Promise<number | null> {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  return fetch(`${node.url}/api/v1/events`, { method: "POST", headers, body }).then(
    ({ status }) => status,
    () => null,
  );
}

test("a batch of 4 MB is applied whole; of one whose leader dies meanwhile all or nothing is", async (t) => {
  const servers = await startNats(t);
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const token = await cluster.token();
  const log = await openLog(t, servers);
  const before = await log.last();
  assert.equal(await send(await cluster.leader(), token, largeBatch("whole")), 202);
  const messages = (await log.last()) - before;
  assert.ok(messages >= 6, `${messages} messages`);
  await cluster.requireEqual();
  for (const [round, afterMessages] of [1, 3, 5].entries()) {
    const type = `round-${round}`;
    const leader = await cluster.leader();
    const last = await log.last();
    const answer = send(leader, token, largeBatch(type));
    for (const until = Date.now() + 30_000; (await log.last()) < last + afterMessages && Date.now() < until; );
    await leader.kill();
    const status = await answer;
    await leader.start();
    const next = await cluster.leader();
    assert.equal(await send(next, token, JSON.stringify({ type: "after" })), 202);
    await cluster.requireEqual();
    const count = await next.eventsOf(type);
    assert.ok(count === 0 || count === EVENTS, `${count} of ${EVENTS}`);
    if (status !== null) assert.equal(count, EVENTS, `answered ${status}`);
  }
});

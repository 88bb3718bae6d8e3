import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { openForReading } from "../../src/store/sqlite/connection.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const HOLD_MS = 20_000;
/** Longer than a request is held, and its answer takes. */
const PATIENCE_MS = 3 * HOLD_MS;

interface Ended {
  readonly kind: string;
  readonly node: string;
  /** Null: the connection was closed. */
  readonly status: number | null;
  readonly id: string;
}

test("a login, an import, a batch and an export in progress end with an answer when the leader dies", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"], {
    PRISM_RATE_LIMIT_ENABLED: "false",
    PRISM_AUTH_BCRYPT_COST: "10",
  });
  const leader = await cluster.leader();
  const standby = other(cluster, leader);
  const token = await cluster.token();
  const json = { "Content-Type": "application/json" };
  const signed = { ...json, Authorization: `Bearer ${token}` };
  const password = "a long password of the tests 7";
  const account = { username: "ada", email: "ada@example.com", password, roles: ["RuleManager"] };
  const made = await fetch(`${leader.url}/api/v1/users`, {
    method: "POST",
    headers: signed,
    body: JSON.stringify(account),
  });
  assert.equal(made.status, 201);
  const { id: ada } = (await made.json()) as { id: string };
  const rule = { titleTemplate: "x", targetUsers: [ada], channels: ["webhook"] };
  const filler = Array.from({ length: 2000 }, (_, n) => ({ type: "filler", payload: { n, text: "x".repeat(500) } }));
  for (let n = 0; n < 5; n++)
    await fetch(`${leader.url}/api/v1/events`, { method: "POST", headers: signed, body: JSON.stringify(filler) });

  const ask = async (kind: string, node: ClusterNode, id: string): Promise<Ended> => {
    const rules = Array.from({ length: 20 }, (_, n) => ({
      name: `${id}-${n}`,
      condition: 'event.type == "never"',
      ...rule,
    }));
    const batch = Array.from({ length: 40 }, () => ({ type: id, payload: { text: "y".repeat(90_000) } }));
    const asked = {
      login: () => ["POST", "/auth/login", json, { login: "ada", password }] as const,
      import: () => ["POST", "/rules/import", signed, { rules }] as const,
      batch: () => ["POST", "/events", signed, batch] as const,
      export: () => ["GET", "/events/export", signed, null] as const,
    }[kind as "login"]();
    const [method, path, headers, body] = asked;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const init = { method, headers, body: body === null ? null : JSON.stringify(body), signal };
    try {
      const reply = await fetch(`${node.url}/api/v1${path}`, init);
      await reply.arrayBuffer();
      return { kind, node: node.name, status: reply.status, id };
    } catch (error) {
      assert.ok(!signal.aborted, `${kind} at ${node.name}: no answer`);
      assert.ok(error instanceof TypeError, String(error));
      return { kind, node: node.name, status: null, id };
    }
  };
  const all: Promise<Ended>[] = [];
  const asking = (async () => {
    for (let n = 0; n < 12; n++) {
      for (const kind of ["login", "import", "batch", "export"])
        for (const node of [leader, standby]) all.push(ask(kind, node, `${kind}-${node.name}-${n}`));
      await setTimeout(100);
    }
  })();
  await setTimeout(500);
  await leader.kill();
  await asking;
  const ended = await Promise.all(all);
  // A busy machine takes longer to lead.
  const hasServed = (kind: string) =>
    ended.some((each) => each.kind === kind && each.node === standby.name && each.status !== null && each.status < 300);
  for (const kind of ["login", "import", "batch", "export"])
    for (let n = 12; n < 60 && !hasServed(kind); n++)
      ended.push(await ask(kind, standby, `${kind}-${standby.name}-${n}`));
  const at = (name: string, kind: string) => ended.filter((each) => each.node === name && each.kind === kind);
  for (const kind of ["login", "import", "batch", "export"]) {
    const through = at(standby.name, kind);
    assert.ok(
      through.some(({ status }) => status !== null && status < 300),
      `${kind}: one succeeds`,
    );
    for (const { status } of through)
      assert.ok(status === null ? kind === "export" : isAnswer(status), `${kind}: ${status}`);
    for (const { status } of at(leader.name, kind))
      assert.ok(status === null || isAnswer(status), `${kind}: ${status}`);
  }
  const reader = openForReading(standby.file);
  t.after(() => reader.close());
  const rules = reader.prepare<[string], number>("select count(*) from rules where name like ? || '-%'").pluck();
  for (const { kind, status, id } of ended) {
    if (status === null || status >= 300) continue;
    if (kind === "batch") assert.equal(await standby.eventsOf(id), 40, id);
    if (kind === "import") assert.equal(rules.get(id), 20, id);
  }
});

/** 429: too many logins at once. */
function isAnswer(status: number): boolean {
  return status < 300 || status === 429 || status === 503;
}

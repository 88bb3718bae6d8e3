import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Forwarder } from "../../src/cluster/follow/forward.ts";
import { Spool } from "../../src/cluster/spool/spool.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { runCli } from "../cli/run-cli.ts";
import { LogLines } from "../helpers/log-lines.ts";
import type { Scope } from "../helpers/scope.ts";
import { TEST_KEY, temporaryDir } from "../helpers/store.ts";
import { openServer } from "./support/port.ts";

const never = (): boolean => false;

/** A node whose leader refuses requests until `takes`. */
async function node(t: Scope) {
  const state = { takes: false };
  const leader = await openServer(t, (_req, res) => {
    if (state.takes) res.writeHead(202).end("{}");
    else res.writeHead(401).end(REASON);
  });
  const dataDir = temporaryDir(t);
  const log = new LogLines();
  const forwarder = new Forwarder({ node: "b", advertise: "http://b.example.com", log });
  t.after(() => forwarder.close());
  const spool = new Spool({ dataDir, box: new SealedBox([TEST_KEY]), log, forwarder });
  const env = { PRISM_ENCRYPTION_KEY: Buffer.from(TEST_KEY).toString("hex"), PRISM_DATA_DIR: dataDir };
  const run = async (...args: string[]) => {
    const { status, stdout, stderr } = await runCli(["cluster", "refused", ...args, "--json"], { cwd: dataDir, env });
    return { status, stderr, json: (stdout === "" ? null : JSON.parse(stdout)) as Record<string, never> };
  };
  const table = () => runCli(["cluster", "refused"], { cwd: dataDir, env });
  const send = () => spool.sendTo(leader.url, never);
  const refused = () => readdirSync(join(dataDir, "spool/refused")).sort();
  return { state, leader, dataDir, spool, run, table, send, refused };
}

const REASON = '{"error":{"code":"UNAUTHENTICATED","message":"No such key"}}';

const request = (path: string) => ({
  ...{ method: "POST", path, headers: { host: "a" } },
  body: Buffer.from("{}"),
});

test("what a leader refused is listed with its reason, sent again with the same key, and deleted", async (t) => {
  const { state, leader, dataDir, spool, run, table, send, refused } = await node(t);
  assert.deepEqual((await run()).json, { data: [] });
  for (const name of ["alerts", "events?token=hidden"]) await spool.add(request(`/api/v1/${name}`));
  await send();
  writeFileSync(join(dataDir, "spool/refused/000000000009-0.request"), "damaged");
  const { data } = (await run()).json as unknown as { data: Record<string, unknown>[] };
  assert.deepEqual(
    data.map(({ path, status, reason: why, bytes }) => [path, status, why, bytes]),
    [
      ["/api/v1/alerts", 401, REASON, 2],
      ["/api/v1/events?token=***", 401, REASON, 2],
      [null, null, null, null],
    ],
  );
  assert.match((await table()).stdout, / POST \/api\/v1\/alerts +401 +No such key \(UNAUTHENTICATED\)$/m);
  const [first = "", second = ""] = data.map(({ name }) => String(name));

  for (const action of ["send", "delete"]) {
    const asked = await run(action);
    assert.deepEqual([asked.status, refused().length], [2, 3], asked.stderr);
    assert.equal((await run(action, "000000000099", "--yes")).status, 6);
  }

  // The node that runs sends what was put back.
  let isOver = false;
  const running = (async () => {
    for (; !isOver; await new Promise(setImmediate)) await send();
  })();
  t.after(() => {
    isOver = true;
  });
  const again = await run("send", "000000000001", "--yes");
  assert.equal(again.status, 8, again.stderr);
  assert.deepEqual(again.json, { sent: [], refused: [first], waiting: [] });
  state.takes = true;
  const sent = await run("send", "--yes");
  assert.deepEqual([sent.status, sent.json], [0, { sent: [first, second], refused: [], waiting: [] }]);
  const keys = leader.seen
    .filter(({ line }) => line.endsWith("/alerts"))
    .map(({ headers }) => headers["idempotency-key"]);
  assert.deepEqual([keys.length, new Set(keys).size], [3, 1]);
  isOver = true;
  await running;
  const deleted = await run("delete", "--yes");
  assert.deepEqual([deleted.json, refused()], [{ deleted: ["000000000009-0"] }, []]);
});

test("a name of another folder is no refused request", async (t) => {
  const { dataDir, run } = await node(t);
  mkdirSync(join(dataDir, "elsewhere"));
  writeFileSync(join(dataDir, "elsewhere/1.request"), "");
  assert.equal((await run("delete", "../../elsewhere/1", "--yes")).status, 6);
});

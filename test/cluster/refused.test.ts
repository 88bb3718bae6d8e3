import assert from "node:assert/strict";
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Forwarder } from "../../src/cluster/follow/forward.ts";
import { Spool } from "../../src/cluster/spool/spool.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { TEST_KEY, temporaryDir } from "../helpers/store.ts";
import { openServer } from "./support/port.ts";

const REASON = '{"error":{"code":"UNAUTHENTICATED","message":"No such key"}}';

test("what a leader refused is logged with its reason, and sent again with the same key when its file is moved back", async (t) => {
  let takes = false;
  const leader = await openServer(t, (_req, res) => {
    if (takes) res.writeHead(202).end("{}");
    else res.writeHead(401).end(REASON);
  });
  const dataDir = temporaryDir(t);
  const log = new LogLines();
  const forwarder = new Forwarder({ node: "b", advertise: "http://b.example.com", log });
  t.after(() => forwarder.close());
  const spool = new Spool({ dataDir, box: new SealedBox([TEST_KEY]), log, forwarder });
  const path = "/api/v1/events?token=hidden";
  await spool.add({ method: "POST", path, headers: { host: "a" }, body: Buffer.from("{}") });
  await spool.sendTo(leader.url, () => false);

  const folder = join(dataDir, "spool/refused");
  const [file = ""] = readdirSync(folder);
  const line = log.lines.find(({ level }) => level === "error");
  assert.deepEqual(line?.fields, {
    ...{ status: 401, reason: REASON, method: "POST" },
    ...{ path: "/api/v1/events?token=***", name: file },
  });

  takes = true;
  renameSync(join(folder, file), join(dataDir, "spool", file));
  await spool.sendTo(leader.url, () => false);
  assert.deepEqual(readdirSync(folder), []);
  const keys = leader.seen.map(({ headers }) => headers["idempotency-key"]);
  assert.deepEqual([keys.length, new Set(keys).size], [2, 1]);
});

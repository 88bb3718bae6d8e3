import assert from "node:assert/strict";
import test from "node:test";
import { Fenced } from "../../src/cluster/log.ts";
import { SyncLog } from "../../src/cluster/sync-log.ts";
import { lastingPort } from "../helpers/free-ports.ts";

test("a thread does not wait for ever for a log that does not answer", async (t) => {
  const address = `127.0.0.1:${await lastingPort()}`;
  const options = { servers: [address], name: "test", replicas: 1, allowOldServer: false };
  const log = new SyncLog(options, "a", 300);
  t.after(() => log.close());
  assert.throws(
    () => log.append([Buffer.from("a")], 0),
    (error) => error instanceof Fenced && error.message === "the log accepted no record for 0.3 s",
  );
});

import assert from "node:assert/strict";
import test from "node:test";
import { Fenced } from "../../src/cluster/log/log.ts";
import { SyncLog } from "../../src/cluster/log/sync-log.ts";
import { lastingPort } from "../helpers/free-ports.ts";

/** A thread that has not begun on a busy machine by then never does, and knows no reason. */
const MOST_PATIENCE_MS = 64_000;

test("a thread does not wait for ever for a log that does not answer, and says why it does not", async () => {
  const address = `127.0.0.1:${await lastingPort()}`;
  const options = { servers: [address], name: "test", replicas: 1, allowOldServer: false };
  let reason = "";
  for (let mostWaitMs = 1000; reason === "" && mostWaitMs <= MOST_PATIENCE_MS; mostWaitMs *= 4) {
    const log = new SyncLog(options, "a", mostWaitMs);
    assert.throws(
      () => log.append([Buffer.from("a")], 0),
      (error) => {
        const [, seconds, why = ""] =
          /^the log accepted no record for (\d+) s(.*)$/.exec(String((error as Error).message)) ?? [];
        reason = why;
        return error instanceof Fenced && Number(seconds) === mostWaitMs / 1000;
      },
    );
    await log.close();
  }
  assert.match(reason, /^: .*refused/);
});

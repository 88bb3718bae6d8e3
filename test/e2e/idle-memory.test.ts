import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const CLIENTS = 32;
const EVENTS_EACH = 400;
/** An idle server after a busy time takes 1.3 times a fresh one, and the pages that SQLite keeps; with a margin. */
const MOST_OF_BEFORE = 1.4;
const PAGES_KIB = 16_384;
/** It waits until the loop has been idle for half a minute. */
const IDLE_MS = 600_000;

/** Memory that the system cannot read again from files (proc_pid_status(5)). */
function anonymousKiB(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
}

test("an idle server gives memory of its start back, goes on and stops as usual", async (t) => {
  if (process.platform !== "linux") return;
  const prism = new PrismBinary(t);
  await prism.start();
  const before = anonymousKiB(prism.pid);
  await eventually("there are 4 MiB less", () => anonymousKiB(prism.pid) < before - 4096);
  assert.equal((await prism.call("GET", "/api/v1/rules")).status, 200);
  assert.equal(await prism.stop(), 0);
});

test("a server that was busy gives memory back once it is idle", async (t) => {
  if (process.platform !== "linux") return;
  const prism = new PrismBinary(t, { env: { PRISM_RATE_LIMIT_USER: "1000000" } });
  await prism.start();
  const atStart = anonymousKiB(prism.pid);
  await eventually("the start is over", () => anonymousKiB(prism.pid) < atStart - 4096);
  const before = anonymousKiB(prism.pid);
  const send = async (): Promise<void> => {
    for (let i = 0; i < EVENTS_EACH; i++) await prism.call("POST", "/api/v1/events", { type: `kind.${i}` });
  };
  await Promise.all(Array.from({ length: CLIENTS }, send));
  const busy = anonymousKiB(prism.pid);
  assert.ok(busy > MOST_OF_BEFORE * before + PAGES_KIB, `${before} KiB before and ${busy} after the load`);
  await eventually(
    () => `${before} KiB before, ${busy} after the load, ${anonymousKiB(prism.pid)} once idle`,
    () => anonymousKiB(prism.pid) < MOST_OF_BEFORE * before + PAGES_KIB,
    IDLE_MS,
  );
  assert.equal((await prism.call("GET", "/api/v1/rules")).status, 200);
  assert.equal(await prism.stop(), 0);
});

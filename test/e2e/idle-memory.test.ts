import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

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

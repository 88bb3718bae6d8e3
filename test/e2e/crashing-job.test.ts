import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Job } from "../../src/client/api-types.gen.ts";
import { eventually } from "../helpers/eventually.ts";
import { PrismBinary } from "./prism-binary.ts";

const MODULE = `export default {
  name: "crashing", version: "1.0.0",
  register(server, { scheduler }) {
    scheduler.handle("abort", () => process.kill(process.pid, "SIGKILL"));
    scheduler.handle("calm", () => ({ isDone: true }));
    server.post("/crashing", { public: true }, async () => {
      const runAt = new Date(Date.now() + 5000);
      for (const kind of ["abort", "calm", "calm"])
        await scheduler.add("default", kind, {}, { runAt, priority: kind === "abort" ? 10 : 0 });
      return {};
    });
  },
};`;

test("a job that ends the process each time is dead after its attempts; jobs that wait beside it lose none and are done", async (t) => {
  const prism = new PrismBinary(t, {
    env: { PRISM_QUEUES_MODULE_MAX_ATTEMPTS: "2", PRISM_QUEUES_MODULE_CONCURRENCY: "1" },
  });
  const dir = join(prism.dir, "data/modules/crashing");
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "index.mjs"), MODULE);
  await prism.start();
  assert.equal((await prism.call("POST", "/crashing", {})).status, 200);
  await prism.ended();
  // The second attempt may end the process before it says that it is ready.
  await prism.start().catch(() => undefined);
  await prism.ended();
  await prism.start();
  const jobs = await eventually("all have ended", async () => {
    const all = await prism.all<Job>("/api/v1/jobs?queue=module:crashing");
    return all.length === 3 && all.every(({ state }) => state === "dead" || state === "succeeded") ? all : null;
  });
  const shown = jobs.map(({ kind, state, attempts }) => ({ kind: kind.split(":").pop(), state, attempts }));
  assert.deepEqual(
    shown.find(({ kind }) => kind === "abort"),
    { kind: "abort", state: "dead", attempts: 2 },
  );
  const calm = { kind: "calm", state: "succeeded", attempts: 1 };
  assert.deepEqual(
    shown.filter(({ kind }) => kind === "calm"),
    [calm, calm],
  );
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { startPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";

const page = readFileSync(join(import.meta.dirname, "../../../../docs/operating.md"), "utf8");

/** Metrics of a node of a cluster are compared in test/cluster/step-down.test.ts. */
const ofCluster = /^prism_cluster_/;

test("every metric that docs/operating.md names is one that /metrics has, and every one of these is on the page", async (t) => {
  const prism = await startPrism(t, { settings: { "configuration.dir": temporaryDir(t) } });
  await prism.post("/api/v1/events", { type: "a" });
  const { text } = await prism.get("/metrics");
  const served = new Set([...text.matchAll(/^# TYPE (prism_\w+) /gm)].map(([, name = ""]) => name));
  const names = [...page.matchAll(/\bprism_[a-z_]+/g)].map(([name]) => name.replace(/_bucket$/, ""));
  const named = new Set(names.filter((name) => !ofCluster.test(name)));
  assert.ok(named.size > 20, String(named.size));
  const found = [...named].filter((name) => !served.has(name));
  assert.deepEqual(found, []);
  const left = [...served].filter((name) => !named.has(name));
  assert.deepEqual(left, []);
});

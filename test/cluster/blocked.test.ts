import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { moduleText } from "../features/plugins/support/module-dir.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { startNats } from "./support/nats.ts";
import { startCluster } from "./support/nodes.ts";
import { other, requireAll, sendEvents } from "./support/sending.ts";

/** At most: the test ends it. */
const BLOCKED_MS = 120_000;

test("a leader whose loop is blocked is replaced, although its threads live", async (t) => {
  const modules = temporaryDir(t);
  mkdirSync(join(modules, "stray"));
  const over = join(temporaryDir(t), "over");
  const block = `const cell = new Int32Array(new SharedArrayBuffer(4));
    for (const until = Date.now() + ${BLOCKED_MS}; !existsSync(${JSON.stringify(over)}) && Date.now() < until; )
      Atomics.wait(cell, 0, 0, 100);`;
  const route = `server.get("/stray/block", { public: true }, () => { ${block} return 1; });`;
  writeFileSync(
    join(modules, "stray/index.mjs"),
    moduleText("stray", route, { before: 'import { existsSync } from "node:fs";' }),
  );
  const cluster = await startCluster(t, await startNats(t), ["a", "b"], { PRISM_MODULES_DIR: modules });
  const first = await cluster.leader();
  const standby = other(cluster, first);
  const token = await cluster.token();
  const blocked = fetch(`${first.url}/stray/block`).catch(() => null);
  const leads = () => standby.output.includes("this node leads the cluster");
  await eventually("the other node leads", leads);
  writeFileSync(over, "");
  const sending = sendEvents(() => standby.url, token);
  await eventually("events are stored", () => sending.acknowledged.length > 20, 60_000);
  await blocked;
  await eventually("it starts again", () => first.output.includes("it starts again as a follower"), 60_000);
  await requireAll(standby, token, await sending.stop());
  await cluster.requireEqual();
});

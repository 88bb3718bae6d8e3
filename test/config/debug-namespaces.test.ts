import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createLogger } from "../../src/config/logger.ts";
import { moduleText } from "../features/plugins/support/module-dir.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { WebSocketClient } from "../live/support/web-socket-client.ts";

/** Part of every payload and text below; no line may contain it. */
const SECRET = "zebra-crossing";

const SHOWN = {
  "prism:http": /^request$/,
  "prism:auth": /^caller authenticated$/,
  "prism:pipeline": /^committed a batch of events$/,
  "prism:rules": /^a rule has matched in a batch$/,
  "prism:jobs": /^attempt ended$/,
  "prism:schedules": /^schedule fired$/,
  "prism:delivery": /^delivery accepted$/,
  "prism:realtime": /^live connection opened$/,
  "prism:bus": /^event emitted$/,
  "prism:modules": /^importing module$/,
  "prism:store": /^commit is on disk$/,
};

/** A webhook target that accepts everything. */
async function target(t: TestContext): Promise<string> {
  const server = createServer((_req, res) => res.writeHead(204).end()).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

test("DEBUG shows what each part does, without payloads and secrets, and its namespaces are documented", async (t) => {
  const modulesDir = join(temporaryDir(t), "modules");
  mkdirSync(join(modulesDir, "traced"), { recursive: true });
  writeFileSync(
    join(modulesDir, "traced/index.mjs"),
    moduleText(
      "traced",
      `services.scheduler.handle("work", async () => ({ text: "${SECRET}" })); await services.scheduler.cron("soon", "* * * * *", "work", { text: "${SECRET}" });`,
    ),
  );
  const text: string[] = [];
  const log = createLogger({
    level: "error",
    debug: "prism:*",
    destination: { write: (line: string) => void text.push(line) },
  });
  const lines = () => text.map((line) => JSON.parse(line) as { level: string; ns: string; msg: string });
  const clock = new FakeClock();
  const settings = {
    modulesDir,
    "modules.hotReload": "false",
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  };
  const prism = await startPrism(t, { log, clock, settings });
  await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  await prism.post("/api/v1/rules", {
    name: SECRET,
    condition: "event.type == 'traced'",
    titleTemplate: SECRET,
    messageTemplate: SECRET,
    targetUsers: ["dev"],
  });
  const hook = await prism.post("/api/v1/webhooks", { url: await target(t) });
  assert.equal(hook.status, 201, hook.text);
  assert.equal((await prism.post("/api/v1/events", { type: "traced", payload: { text: SECRET } })).status, 202);
  const note = { userId: "me", title: SECRET, message: SECRET, channels: ["webhook"] };
  assert.equal((await prism.post("/api/v1/notifications", note)).status, 201);
  prism.services.events.emit("traced:bus", { text: SECRET });
  clock.advance(60_000);
  await prism.parts.offers.schedules.due.check();
  for (const [ns, msg] of Object.entries(SHOWN))
    await t.test(ns, async () => {
      const isShown = (): boolean =>
        lines().some((line) => line.ns === ns && line.level === "debug" && msg.test(line.msg));
      await eventually(`a debug line of ${ns}`, isShown);
    });
  const all = text.join("");
  assert.ok(
    !all.includes(SECRET),
    text.find((line) => line.includes(SECRET)),
  );
  assert.ok(!all.includes(prism.adminToken));
  const docs = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
  for (const ns of Object.keys(SHOWN)) assert.ok(docs.includes(`| \`${ns}\` |`), ns);

  log.reload({ level: "error", debug: "dms:bus" });
  text.length = 0;
  await prism.post("/api/v1/events", { type: "traced" });
  prism.services.events.emit("traced:bus");
  assert.ok(lines().length > 0 && lines().every(({ ns }) => ns === "prism:bus"), "dms: selects parts too");
});

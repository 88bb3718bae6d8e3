import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test from "node:test";
import { WebSocket } from "ws";
import { PrismClient } from "../../src/client/index.ts";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { LiveServer } from "../live/support/live-server.ts";
import { makeClientPackage } from "./support/client-package.ts";

/** Runs every example of docs/client.md. */
const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/client.md"), "utf8");

test("every program on the page prints what the page says", async (t) => {
  const server = await LiveServer.start(t);
  const { prism, projectId, userId, apiKey } = server;
  await prism.post("/api/v1/notifications", { userId, title: "Disk full", message: "3 % left on db1" });
  for (const [type, amount] of [
    ["order.paid", 10],
    ["cart.filled", 20],
    ["order.failed", 30],
  ] as const)
    await prism.post("/api/v1/events", { type, payload: { amount } }, { apiKey });
  const dir = temporaryDir(t);
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(makeClientPackage(t), join(dir, "node_modules/prism-client"));
  symlinkSync(join(root, "node_modules/ws"), join(dir, "node_modules/ws"));
  const env = { ...process.env, PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken, PRISM_PROJECT: projectId };
  const programs = [...page.matchAll(/```js\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/g)];
  assert.equal(programs.length, page.split("```js\n").length - 1);
  assert.ok(programs.length >= 3);
  for (const [, text = "", printed] of programs) {
    writeFileSync(join(dir, "program.mjs"), text);
    assert.deepEqual(await run(dir, env), { output: printed, code: 0 });
  }
  assert.match(readFileSync(join(dir, "offset.txt"), "utf8"), /^\d+$/);
});

test("the page's own page shows what comes, over tickets from its own server", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const port = await lastingPort();
  const origin = `http://127.0.0.1:${port}`;
  const prism = await startPrism(t, { settings: { "cors.origins": origin } });
  const uma = await makeUser(prism, "uma");
  const { api } = new PrismClient({ url: prism.url, token: uma.token, WebSocket });
  const [, html = ""] = /```html\n([\s\S]*?)```/.exec(page) ?? [];
  assert.ok(html.includes("http://127.0.0.1:3000"));
  const pages = createServer((request, response) => {
    if (request.url === "/my-ticket") api.ticket().then(({ ticket }) => response.end(ticket));
    else response.setHeader("Content-Type", "text/html").end(html.replaceAll("http://127.0.0.1:3000", prism.url));
  });
  pages.listen(port, "127.0.0.1");
  await once(pages, "listening");
  t.after(() => {
    pages.closeAllConnections();
    pages.close();
  });
  const tab = await openPage(browser);
  const problems: string[] = [];
  tab.on("pageerror", (error) => problems.push(String(error)));
  await tab.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`);
  await tab.locator("#state", { hasText: "open" }).waitFor();
  await prism.post("/api/v1/notifications", { userId: uma.id, title: "Tea is ready", message: "m" });
  await tab.locator("#inbox li", { hasText: "Tea is ready" }).waitFor();
  assert.deepEqual(problems, []);
});

async function run(cwd: string, env: NodeJS.ProcessEnv): Promise<{ output: string; code: number | null }> {
  const child = spawn(process.execPath, ["program.mjs"], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const limit = setTimeout(() => child.kill(), 120_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(limit);
  return { output, code };
}

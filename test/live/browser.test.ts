import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import type { Browser, Page } from "playwright-core";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { LiveServer, range } from "./support/live-server.ts";

/** A browser that starts on a busy machine is slow. */
const PATIENCE_MS = 60_000;

async function pageOf(browser: Browser, url: string): Promise<Page> {
  const page = await openPage(browser);
  await page.goto(url);
  return page;
}

/** A web server of another application, with an empty page. @returns its origin */
async function startApplication(t: TestContext): Promise<string> {
  const server = createServer((_request, reply) => reply.setHeader("Content-Type", "text/html").end("<!doctype html>"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Runs statements in the page. `told` collects what arrives. */
function run(page: Page, statements: string): Promise<void> {
  return page.evaluate(`(() => { window.told ??= []; ${statements} })()`);
}

const told = (page: Page): Promise<unknown[]> => page.evaluate<unknown[]>("window.told");

async function hears(page: Page, ...expected: readonly unknown[]): Promise<void> {
  await eventually(JSON.stringify(expected), async () => (await told(page)).length >= expected.length, PATIENCE_MS);
  assert.deepEqual(await told(page), expected);
}

/** A native socket that reports numbers of events, and how it closed. */
function socket(url: string, protocols: readonly string[] = []): string {
  return `
    const socket = new WebSocket(${JSON.stringify(url)}, ${JSON.stringify(protocols)});
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.op === "welcome") socket.send(JSON.stringify({ op: "subscribe", id: "1", stream: "project:" + window.projectId }));
      if (message.op === "subscribed" || message.type === "connected") told.push("subscribed");
      if (message.op === "event") told.push(message.data.payload.n);
      if (message.type === "event") told.push(message.event.payload.n);
    };
    socket.onclose = ({ code }) => told.push("closed " + code);`;
}

test("S3-10, S1-39: Chromium's WebSocket: by ticket, by token in the subprotocol, by token in the URL; each receives events live", async (t) => {
  keepsPromise(t, "S3-10");
  const browser = await startBrowser(t);
  if (!browser) return;
  const server = await LiveServer.start(t);
  const { prism, projectId } = server;
  const { body } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", {});
  const pages: Page[] = [];
  for (const [url, protocols] of [
    [`${prism.wsUrl}/ws?ticket=${body.ticket}`, []],
    [`${prism.wsUrl}/ws`, ["prism.v1", `bearer.${prism.adminToken}`]],
    [`${prism.wsUrl}/realtime/${projectId}?token=${prism.adminToken}`, []],
  ] as const) {
    const page = await pageOf(browser, `${prism.url}/docs`);
    await run(page, `window.projectId = ${JSON.stringify(projectId)}; ${socket(url, protocols)}`);
    await hears(page, "subscribed");
    pages.push(page);
  }
  await server.feed.publish(3);
  for (const page of pages) await hears(page, "subscribed", 1, 2, 3);

  const again = await pageOf(browser, `${prism.url}/docs`);
  await run(again, socket(`${prism.wsUrl}/ws?ticket=${body.ticket}`));
  await hears(again, "closed 1006");
});

test("S1-40, S1-03: Chromium's EventSource reconnects by itself after a restart and resumes after its last event", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const server = await LiveServer.start(t, { settings: { port: String(await lastingPort()) } });
  const { prism, projectId } = server;
  const page = await pageOf(browser, `${prism.url}/docs`);
  await run(
    page,
    `const source = new EventSource("/realtime/${projectId}/sse?token=${prism.adminToken}");
    window.opened = 0;
    window.ids = [];
    source.onopen = () => window.opened++;
    source.addEventListener("message", ({ data, lastEventId }) => {
      told.push(JSON.parse(data).payload.n);
      window.ids.push(Number(lastEventId));
    });
    source.addEventListener("gap", ({ data }) => told.push(data));`,
  );
  await eventually("it is open", () => page.evaluate<boolean>("window.opened === 1"), PATIENCE_MS);
  await server.feed.publish(3);
  await hears(page, 1, 2, 3);
  await server.restart();
  const lastSeq = await server.feed.publish(4);
  await hears(page, ...range(1, 7));
  await server.feed.publish(2);
  await hears(page, ...range(1, 9));
  assert.equal(await page.evaluate("window.opened"), 2);
  assert.equal(await page.evaluate("window.ids[6]"), lastSeq);
});

test("every protocol refuses pages of other origins and accepts those of cors.origins", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const [allowed, foreignOrigin] = [await startApplication(t), await startApplication(t)];
  const server = await LiveServer.start(t, { settings: { "cors.origins": allowed } });
  const { prism, projectId } = server;
  const credential = `?token=${prism.adminToken}`;
  const follow = `
    window.projectId = ${JSON.stringify(projectId)};
    {${socket(`${prism.wsUrl}/ws${credential}`)}}
    {${socket(`${prism.wsUrl}/realtime/${projectId}${credential}`)}}
    const source = new EventSource("${prism.url}/realtime/${projectId}/sse${credential}");
    source.onopen = () => told.push("subscribed");
    source.addEventListener("message", ({ data }) => told.push(JSON.parse(data).payload.n));
    source.onerror = () => told.push("error " + source.readyState);`;
  const app = await pageOf(browser, allowed);
  await run(app, follow);
  await hears(app, "subscribed", "subscribed", "subscribed");
  await server.feed.publish();
  await hears(app, "subscribed", "subscribed", "subscribed", 1, 1, 1);

  const foreign = await pageOf(browser, foreignOrigin);
  const refusals: string[] = [];
  foreign.on("websocket", (opened) => opened.on("socketerror", (error) => refusals.push(error)));
  await run(foreign, follow);
  await eventually("all three end", async () => (await told(foreign)).length === 3);
  assert.deepEqual((await told(foreign)).toSorted(), ["closed 1006", "closed 1006", "error 2"]);
  await eventually("what the sockets were told", () => refusals.length === 2);
  for (const refusal of refusals) assert.match(refusal, /403/);
});

import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { openPage, startBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { Relay } from "./support/relay.ts";

/** Runs in the page: a client, and the entries of its inbox. */
function follow(token: string): string {
  return `(async () => {
    const { PrismClient } = await import("/prism-client.js");
    const client = new PrismClient({
      url: location.origin,
      token: ${JSON.stringify(token)},
      storage: { get: (key) => sessionStorage.getItem(key), set: (key, value) => sessionStorage.setItem(key, value) },
      reconnect: { minMs: 20, maxMs: 100 },
    });
    const told = [];
    client.subscribe("user:me").on("event", ({ type, data }) => {
      told.push(type === "notification" ? data.title : type);
    });
    client.on("error", ({ error }) => told.push(error.code));
    window.client = client;
    window.told = told;
    await new Promise((resolve) => client.on("subscribed", resolve));
  })()`;
}

const told = (page: Page): Promise<string[]> => page.evaluate<string[]>("window.told");

test("S2-64: a page in Chromium continues after a lost connection, a restart and a reload, and gets read marks of another tab", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startPrism(t);
  const relay = await Relay.start(t, prism.url);
  const uma = await makeUser(prism, "uma");
  const notify = async (title: string): Promise<string> => {
    const reply = await prism.post<{ id: string }>("/api/v1/notifications", { userId: uma.id, title, message: "m" });
    return reply.body.id;
  };
  const open = async (): Promise<Page> => {
    const page = await openPage(browser);
    await page.goto(`${relay.url}/docs`);
    await page.evaluate(follow(uma.token));
    return page;
  };
  const [first, second] = [await open(), await open()];
  await notify("one");
  relay.cut();
  await notify("two");
  await prism.stop();
  await prism.restart();
  const third = await notify("three");
  relay.leadTo(prism.url);
  await eventually("all", async () => (await told(first)).length === 3 && (await told(second)).length === 3);

  await second.evaluate(`window.client.api.markRead(${JSON.stringify(third)})`);
  const expected = ["one", "two", "three", "notification.read", "unread-count"];
  await eventually("both", async () => (await told(first)).length === 5 && (await told(second)).length === 5);
  assert.deepEqual(await told(first), expected);
  assert.deepEqual(await told(second), expected);

  await first.evaluate("window.client.close()");
  await notify("four");
  await first.reload();
  await first.evaluate(follow(uma.token));
  await eventually("what came in between", async () => (await told(first)).length === 1);
  assert.deepEqual(await told(first), ["four"]);
});

test("a page in Chromium gets the reason why its token was refused", async (t) => {
  const browser = await startBrowser(t);
  if (!browser) return;
  const prism = await startPrism(t);
  const page = await openPage(browser);
  await page.goto(`${prism.url}/docs`);
  const state = await page.evaluate<{ state: string; error: { code: string; status: number } }>(`(async () => {
    const { PrismClient } = await import("/prism-client.js");
    const client = new PrismClient({ url: location.origin, token: "nonsense" });
    const closed = new Promise((resolve) => client.on("state", (state) => state.state === "closed" && resolve(state)));
    client.connect();
    const { state, error } = await closed;
    return { state, error: { code: error.code, status: error.status } };
  })()`);
  assert.deepEqual(state, { state: "closed", error: { code: "TOKEN_INVALID", status: 401 } });
});

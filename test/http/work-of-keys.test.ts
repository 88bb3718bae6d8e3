import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { SURE_BYTES, type WorkAccount } from "../../src/http/limits/work-budget.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { answered, startPrism, type TestPrism } from "../helpers/prism.ts";

interface Project {
  readonly id: string;
  readonly apiKey: string;
}

interface Refusal {
  readonly error?: { readonly code: string };
}

/** Steps of one second. */
const SECOND = { steps: 80_000_000 };

async function start(t: TestContext) {
  const prism = await startPrism(t, { clock: new FakeClock() });
  const made = await Promise.all(
    ["shop", "blog"].map(async (name) => (await prism.post<Project>("/api/v1/projects", { name })).body),
  );
  const [shop, blog] = made as [Project, Project];
  const { work } = prism.parts.core;
  const owe = (account: WorkAccount, seconds: number): void => {
    for (let i = 0; i < seconds; i++) work.charge(account, SECOND);
  };
  owe(work.ofProject(shop.id), 3);
  assert.throws(() => work.require(work.ofProject(shop.id)), { code: "WORK_LIMITED" });
  // It has the same creator.
  assert.throws(() => work.require(work.ofProject(blog.id)), { code: "WORK_LIMITED" });
  return { prism, shop, blog, owe };
}

/** An alert in a body of exactly this many bytes. */
function alertOf(bytes: number): string {
  const body = (text: string) => JSON.stringify({ alerts: [{ labels: { alertname: "disk" }, annotations: { text } }] });
  return body("x".repeat(bytes - body("").length));
}

async function codeOf(prism: TestPrism, { apiKey }: Project, body: string | AsyncIterable<Uint8Array>) {
  const init = { method: "POST", headers: { "Content-Type": "application/json", "X-API-Key": apiKey }, body };
  const reply = await fetch(`${prism.url}/api/v1/alerts`, { ...init, duplex: "half" } as RequestInit);
  const { error } = (await reply.json()) as Refusal;
  return error?.code ?? reply.status;
}

async function* chunksOf(text: string): AsyncIterable<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000);
}

test("while a project and its creator are in debt, alerts, ends, events and requests of Prometheus with its key pass up to 16 KiB", async (t) => {
  const { prism, shop } = await start(t);
  const { apiKey } = shop;
  const { refused } = prism.parts.core.work.useOf(shop.id);
  const json = { apiKey };
  const labels = { alertname: "disk" };
  for (let i = 0; i < 20; i++)
    for (const alert of [{ labels }, { labels, status: "resolved" }])
      assert.equal((await prism.post("/api/v1/alerts", { alerts: [alert] }, json)).status, 200);
  assert.equal((await prism.post("/alertmanager/api/v2/alerts", [{ labels }], json)).status, 200);
  const payload = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`m${i}`, 1]));
  await answered(202, prism.post("/api/v1/events", { type: "a", payload }, json));
  assert.equal(prism.parts.core.work.useOf(shop.id).refused, refused, "none of them counts as refused");
  const large = await prism.post<Refusal>("/api/v1/events", { type: "a", payload, text: "x".repeat(SURE_BYTES) }, json);
  assert.equal(large.body.error?.code, "WORK_LIMITED");
});

test("the boundary is 16 384 bytes, also of a body in chunks, whose length is known afterwards", async (t) => {
  const { prism, shop } = await start(t);
  for (const [bytes, expected] of [
    [SURE_BYTES - 1, 200],
    [SURE_BYTES, 200],
    [SURE_BYTES + 1, "WORK_LIMITED"],
    [4 * SURE_BYTES, "WORK_LIMITED"],
  ] as const) {
    assert.equal(await codeOf(prism, shop, alertOf(bytes)), expected, `${bytes} bytes`);
    assert.equal(await codeOf(prism, shop, chunksOf(alertOf(bytes))), expected, `${bytes} bytes in chunks`);
  }
});

test("small requests of a key are refused only while its own project or creator and all together are in debt", async (t) => {
  const { prism, shop, blog, owe } = await start(t);
  const { work } = prism.parts.core;
  for (let i = 0; i < 12; i++) owe(work.ofSigner(`another tenant ${i}`), 1);
  assert.equal(await codeOf(prism, shop, alertOf(1000)), "WORK_LIMITED");
  // Its creator is in debt.
  assert.equal(await codeOf(prism, blog, alertOf(1000)), "WORK_LIMITED");
  const bob = work.ofProject("a project of bob");
  work.require(bob, true);
  owe(bob, 2);
  assert.throws(() => work.require(bob, true), { code: "WORK_LIMITED" });
});

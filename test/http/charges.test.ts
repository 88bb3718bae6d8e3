import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Work } from "../../src/core/caller.ts";
import type { WorkAccount, WorkBudget } from "../../src/http/limits/work-budget.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeUser } from "../helpers/people.ts";
import { answered, startPrism } from "../helpers/prism.ts";
import { RawConnection, requestText } from "./support/raw-connection.ts";

interface Project {
  readonly id: string;
  readonly apiKey: string;
}

interface Refusal {
  readonly error?: { readonly code: string };
}

/** Sums what is charged from now on, of payers whose buckets have this text in their names. */
function chargesOf(t: TestContext, work: WorkBudget) {
  const { mock } = t.mock.method(work, "charge");
  return {
    /** What requests meanwhile were charged, in one unit. */
    async during(unit: keyof Work, send: () => Promise<unknown>, payer = ""): Promise<number> {
      const before = mock.callCount();
      await send();
      const own = mock.calls.slice(before).filter(({ arguments: [account] }) => isOf(account, payer));
      return own.reduce((sum, { arguments: [, each] }) => sum + (each[unit] ?? 0), 0);
    },
  };
}

function isOf(account: WorkAccount | null, payer: string): boolean {
  return account?.levels.some(([, key]) => key.includes(payer)) === true;
}

async function start(t: TestContext, settings: Record<string, string> = {}) {
  const prism = await startPrism(t, { clock: new FakeClock(), settings });
  const { body: shop } = await prism.post<Project>("/api/v1/projects", { name: "shop" });
  return { prism, shop, charges: chargesOf(t, prism.parts.core.work) };
}

const alertsOf = (n: number, more = {}) =>
  Array.from({ length: n }, (_, i) => ({ labels: { alertname: `a${i}` }, ...more }));

test("alerts are charged one by one: those that change by the rows of alert and event, repetitions by their check", async (t) => {
  const { prism, shop, charges } = await start(t);
  const { apiKey, id } = shop;
  const native = (more?: object) => () => prism.post("/api/v1/alerts", { alerts: alertsOf(50, more) }, { apiKey });
  const foreign = (n: number) => () => prism.post("/alertmanager/api/v2/alerts", alertsOf(n), { apiKey });
  assert.equal(await charges.during("rows", native(), id), 100, "opened");
  assert.equal(await charges.during("rows", native(), id), 0, "repeated");
  assert.equal(await charges.during("rows", native({ status: "resolved" }), id), 100, "resolved");
  assert.equal(await charges.during("rows", foreign(450), id), 900, "Alertmanager's");
  const [few, many] = [
    await charges.during("members", foreign(10), id),
    await charges.during("members", foreign(450), id),
  ];
  assert.ok(many - few >= 440 * 5, `${few} and ${many} members`);
  const used = prism.parts.core.work.useOf(id).usedMs;
  assert.ok(used >= (1100 * 40) / 1000, `${used} ms`);
});

test("alerts of Opsgenie are charged to the integration whose key sent them", async (t) => {
  const { prism, charges } = await start(t);
  const made = await prism.post<{ id: string; key: string }>("/api/v1/integrations", { kind: "opsgenie", name: "og" });
  const send = async () => {
    const headers = { authorization: `GenieKey ${made.body.key}`, "content-type": "application/json" };
    const reply = await fetch(`${prism.url}/v2/alerts`, { method: "POST", headers, body: '{"message":"disk"}' });
    assert.equal(reply.status, 202, await reply.text());
  };
  assert.ok((await charges.during("rows", send, `integration:${made.body.id}`)) >= 2);
});

test("a large batch of alerts is checked in slices, which share the main thread with others'", async (t) => {
  const { prism, shop } = await start(t);
  const { mock } = t.mock.method(prism.parts.core.work.turns, "run");
  const reply = await prism.post<{ data: unknown[] }>("/api/v1/alerts", { alerts: alertsOf(500) }, shop);
  assert.equal(reply.body.data.length, 500);
  const shown = mock.calls.map(({ arguments: [owner] }) => owner);
  assert.deepEqual(shown, [shop.id, shop.id, shop.id]);
});

test("reads are charged by the rows that the database returns, also those that a search drops, and by the answer's length", async (t) => {
  const { prism, shop, charges } = await start(t);
  const batch = Array.from({ length: 300 }, (_, i) => ({ type: "a", payload: { i } }));
  assert.equal((await prism.post("/api/v1/events", batch, shop)).status, 202);
  const list = (limit: number) => () => prism.get(`/api/v1/events?projectId=${shop.id}&limit=${limit}`);
  assert.ok((await charges.during("found", list(200), " reads")) >= 200);
  assert.ok((await charges.during("bytes", list(200), " reads")) > 10_000);
  assert.ok((await charges.during("found", list(5), " reads")) < 100);
  await prism.post("/api/v1/alerts", { alerts: alertsOf(200) }, shop);
  await prism.post("/api/v1/alerts", { alerts: alertsOf(200, { status: "resolved" }) }, shop);
  const resolved = () => prism.get(`/api/v1/alerts?projectId=${shop.id}&state=resolved&q=nowhere`);
  assert.ok((await charges.during("found", resolved, " reads")) >= 200);
  const firing = () => prism.get(`/api/v1/alerts?projectId=${shop.id}&q=nowhere`);
  await prism.post("/api/v1/alerts", { alerts: alertsOf(200) }, shop);
  assert.ok((await charges.during("steps", firing, " reads")) >= 200);
  assert.equal(await charges.during("found", () => prism.get("/health/live")), 0);
});

test("an export is charged apart from other reads, and held back instead of refused", async (t) => {
  const { prism, shop, charges } = await start(t);
  const batch = Array.from({ length: 300 }, (_, i) => ({ type: "a", payload: { i } }));
  await prism.post("/api/v1/events", batch, shop);
  const download = () => prism.get(`/api/v1/events/export?projectId=${shop.id}`);
  assert.ok((await charges.during("found", download, " exports")) >= 300);
  assert.ok((await charges.during("found", download, " reads")) < 100);
  const { work } = prism.parts.core;
  const principal = { kind: "user", userId: "eve" } as Parameters<typeof work.ofReader>[0];
  const eve = work.ofReader(principal, "exports") as WorkAccount;
  assert.equal(work.debtOf(eve), null);
  for (let i = 0; i < 3; i++) work.charge(eve, { steps: 80_000_000 });
  assert.equal(work.debtOf(eve)?.waitMs, 5000);
});

test("who reads too much is refused further reads, and neither its own other requests nor others' reads", async (t) => {
  const { prism, shop } = await start(t, { "work.projectMsPerSecond": "1", "work.creatorMsPerSecond": "2" });
  const eve = await makeUser(prism, "eve", ["Admin"]);
  const batch = Array.from({ length: 300 }, (_, i) => ({ type: "a", payload: { i } }));
  await prism.post("/api/v1/events", batch, shop);
  const read = (who: object) => prism.get<Refusal>(`/api/v1/events?projectId=${shop.id}&limit=200`, who);
  const until429 = async (who: object): Promise<number> => {
    for (let passed = 0; passed < 500; passed++) {
      const reply = await read(who);
      if (reply.status === 200) continue;
      assert.deepEqual([reply.status, reply.body.error?.code], [429, "WORK_LIMITED"]);
      assert.ok(Number(reply.headers.get("retry-after")) >= 1);
      return passed;
    }
    return 500;
  };
  assert.ok((await until429({ token: eve.token })) < 200);
  assert.equal((await read({})).status, 200, "another user");
  const body = { name: "Eve's", text: "x".repeat(20_000) };
  assert.notEqual((await prism.post("/api/v1/rules", body, { token: eve.token })).status, 429);
  assert.ok((await until429(shop)) < 100);
  assert.equal((await read({})).status, 200, "the creator of a key that reads too much");
  assert.equal((await prism.post("/api/v1/alerts", { alerts: alertsOf(100) }, shop)).status, 200);
});

test("templates of ntfy are charged by their steps, and by what their functions read", async (t) => {
  const { prism, charges } = await start(t);
  const render = (message: string) => async () => {
    const path = `/ntfy/topic?template=1&message=${encodeURIComponent(message)}`;
    const reply = await prism.post(path, { list: Array.from({ length: 500 }, () => "x".repeat(100)) });
    return reply.status;
  };
  const [none, loop] = [render("plain"), render('{{range .list}}{{if (contains "y" .)}}y{{end}}{{end}}')];
  const [few, many] = [await charges.during("steps", none, "c"), await charges.during("steps", loop)];
  assert.ok(many >= few + 500 * 40, `${few} and ${many} steps`);
  const [short, long] = [await charges.during("bytes", none), await charges.during("bytes", loop)];
  assert.ok(long >= short + 500 * 100, `${short} and ${long} bytes`);
  // Also those that fail.
  assert.ok((await charges.during("steps", render("{{range .list}}x{{end}}{{fail .list}}"))) >= 500 * 40);
});

test("checking a password is charged to its address, which its own debt refuses; known passwords pass", async (t) => {
  const { prism, charges } = await start(t, { trustedProxies: "127.0.0.1", "auth.registration": "open" });
  const password = "correct horse battery staple";
  assert.equal((await prism.post("/auth/register", { username: "ann", password }, { token: null })).status, 201);
  const status = async (path: string, from: string, given = password): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`ann:${given}`).toString("base64")}`;
    const reply = await fetch(`${prism.url}${path}`, { headers: { authorization, "x-forwarded-for": from } });
    await reply.arrayBuffer();
    return reply.status;
  };
  for (const path of ["/ntfy/v1/account", "/gotify/application"]) {
    assert.equal(await charges.during("rows", () => status(path, "192.0.2.1"), "192.0.2.1"), 4, path);
    assert.equal(await charges.during("rows", () => status(path, "192.0.2.1"), "192.0.2.1"), 0, path);
  }
  const { work } = prism.parts.core;
  for (let i = 0; i < 5; i++) work.charge(work.ofAddress("192.0.2.66"), { steps: 8_000_000 });
  assert.equal(await status("/ntfy/v1/account", "192.0.2.66", "another password"), 429);
  assert.equal(await status("/gotify/application", "192.0.2.66", "another password"), 429);
  assert.equal(await status("/ntfy/v1/account", "192.0.2.66"), 200);
  assert.equal(await status("/ntfy/v1/account", "192.0.2.1", "another password"), 401);
});

test("a message of Gotify is charged what storing and showing it takes, besides parsing it", async (t) => {
  const { prism, charges } = await start(t);
  const made = await answered(200, prism.post<{ token: string }>("/gotify/application", { name: "nas" }));
  const send = (length: number) => async () => {
    const message = { message: "x".repeat(length) };
    const headers = { "content-type": "application/json", "x-gotify-key": made.body.token };
    const reply = await fetch(`${prism.url}/gotify/message`, {
      method: "POST",
      headers,
      body: JSON.stringify(message),
    });
    assert.equal(reply.status, 200, await reply.text());
  };
  assert.ok((await charges.during("bytes", send(900_000))) >= 3 * 900_000);
  assert.ok((await charges.during("rows", send(10))) >= 3);
});

test("the chunks of a body are charged to its sender, besides its bytes", async (t) => {
  const { prism, shop, charges } = await start(t);
  const send = (body: string) => async () => {
    const connection = await RawConnection.open(t, prism.app.port);
    const headers = ["Content-Type: application/json", "Transfer-Encoding: chunked", `X-API-Key: ${shop.apiKey}`];
    connection.send(requestText("POST", "/api/v1/alerts", headers, body));
    assert.equal((await connection.reply()).status, 200);
  };
  const chunked = (text: string) => `${Array.from(text, (char) => `1\r\n${char}\r\n`).join("")}0\r\n\r\n`;
  const json = JSON.stringify({ alerts: [{ labels: { alertname: "a", text: "x".repeat(2000) } }] });
  assert.ok((await charges.during("chunks", send(chunked(json)), shop.id)) >= 2000);
  const whole = `${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`;
  assert.equal(await charges.during("chunks", send(whole), shop.id), 0);
});

test("the API description names the refusal of reads", async (t) => {
  const prism = await startPrism(t);
  type Operations = Record<string, { get: { responses: Record<string, { description: string }> } }>;
  const { body } = await prism.get<{ paths: Operations }>("/openapi.json");
  assert.match(body.paths["/api/v1/events"]?.get.responses["429"]?.description ?? "", /WORK_LIMITED/);
});

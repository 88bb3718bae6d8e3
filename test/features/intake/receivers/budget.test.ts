import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { PrepareThread } from "../../../../src/features/intake/receivers/prepare-thread.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { ReceiverTest } from "./support.ts";

const SECRET = "the shared secret of GitHub";
const HMAC = {
  ...{ scheme: "hmac", header: "x-sig", algorithm: "sha256", encoding: "hex", keyForm: "text", signed: ["{body}"] },
  allowRepeats: true,
};
/** S1: 869 KB in 180 KB of gzip, which took 300 to 400 ms. */
const WIDE = `{${Array.from({ length: 80_000 }, (_, i) => `"k${i}":1`).join(",")}}`;
const GZIPPED = gzipSync(WIDE);
const JSON_TYPE = { "content-type": "application/json" };
const GZIP = { ...JSON_TYPE, "content-encoding": "gzip" };

/** Behind a proxy, so that requests come from several addresses. */
function start(t: test.TestContext, settings: Record<string, string> = {}) {
  return ReceiverTest.start(t, { clock: new FakeClock(), settings: { trustedProxies: "127.0.0.1", ...settings } });
}

function from(address: string): Record<string, string> {
  return { ...JSON_TYPE, "x-forwarded-for": address };
}

function signed(body: string): Record<string, string> {
  return { "x-sig": createHmac("sha256", SECRET).update(body).digest("hex") };
}

/** How many of the requests are answered otherwise than by 429. @returns also the first refusal */
async function flood(it: ReceiverTest, url: string, headers: Record<string, string>, body: unknown, times: number) {
  let passed = 0;
  for (let i = 0; i < times; i++) {
    const reply = await it.send({ url }, body, { headers });
    if (reply.status === 429) return { passed, refusal: reply };
    passed++;
  }
  return { passed, refusal: null };
}

test("S1: unsigned requests at a signed receiver are refused before they are parsed, and then for their debt; signed ones of up to 16 KiB always pass", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ secret: SECRET, verify: [HMAC] });
  const attack = await flood(it, receiver.url, { ...GZIP, ...from("192.0.2.66"), ...GZIP }, GZIPPED, 100);
  assert.ok(attack.passed < 25, `${attack.passed} passed`);
  assert.equal((JSON.parse(attack.refusal?.text ?? "{}") as { error?: { code: string } }).error?.code, "WORK_LIMITED");
  assert.ok(Number(attack.refusal?.headers.get("retry-after")) >= 1);
  const { preparing } = it.prism.parts.offers;
  assert.equal(preparing.usesThread, false, "nothing of it was read");
  const body = JSON.stringify({ title: "x".repeat(16_000) });
  // From the attacker's own address, and in any number.
  for (let i = 0; i < 50; i++) {
    const reply = await it.send(receiver, body, { headers: { ...from("192.0.2.66"), ...signed(body) } });
    assert.equal(reply.status, 200, reply.text);
  }
  const wrong = await it.send(receiver, body, { headers: { ...from("192.0.2.66"), "x-sig": "00" } });
  assert.equal(wrong.status, 401, "a small request is checked, whoever sends it");
  const { left } = it.prism.parts.core.work.useOf(it.prism.parts.offers.defaultProjectId);
  assert.ok(left > 0.8, `unverified requests took ${1 - left} of the project's budget`);
});

test("hundreds of addresses that know the URL of a signed receiver do not block its sender", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ secret: SECRET, verify: [HMAC] });
  let refused = 0;
  for (let i = 0; i < 300; i++) {
    const headers = { ...from(`10.1.${i >> 8}.${i & 255}`), ...GZIP };
    if ((await it.send(receiver, GZIPPED, { headers })).status === 429) refused++;
  }
  assert.ok(refused > 200, `${refused} refused`);
  const body = JSON.stringify({ title: "Deploy failed" });
  assert.equal((await it.send(receiver, body, { headers: { ...JSON_TYPE, ...signed(body) } })).status, 200);
});

test("S1: without a secret one address takes a quarter of its project's budget, and none of others'", async (t) => {
  const it = await start(t);
  const receiver = await it.make({});
  const attack = await flood(it, receiver.url, { ...GZIP, "x-forwarded-for": "192.0.2.66" }, GZIPPED, 50);
  // 80 000 members of 2 µs each.
  assert.ok(attack.passed >= 1 && attack.passed <= 3, `${attack.passed} passed`);
  assert.equal((await it.send(receiver, { title: "x" }, { headers: from("192.0.2.67") })).status, 200);
  const other = await it.make({ name: "Other" });
  assert.equal((await it.send(other, { title: "x" }, { headers: from("192.0.2.66") })).status, 200);
});

test("who knows the URL of a receiver without a secret uses up nothing of the project's keys and people, and small requests of other addresses pass", async (t) => {
  const it = await start(t);
  const { prism } = it;
  const { body: project } = await prism.post<{ id: string; apiKey: string }>("/api/v1/projects", { name: "shop" });
  const printer = await it.make({ projectId: project.id });
  const other = await it.make({ name: "Other", projectId: project.id });
  let refused = 0;
  for (let i = 0; i < 12; i++) {
    const reply = await it.send(printer, GZIPPED, { headers: { ...GZIP, "x-forwarded-for": `10.1.0.${i}` } });
    if (reply.status === 429) refused++;
  }
  assert.ok(refused > 0, "large ones are refused");
  const alerts = { alerts: [{ labels: { alertname: "disk" } }] };
  const byKey = await prism.post("/api/v1/alerts", alerts, { apiKey: project.apiKey });
  assert.equal(byKey.status, 200, byKey.text);
  for (const receiver of [printer, other]) {
    const reply = await it.send(receiver, { title: "x" }, { headers: from("192.0.2.67") });
    assert.equal(reply.status, 200, reply.text);
  }
});

test("alerts of a receiver are charged to its project as those of keys are: rows of those that change, and the check of each", async (t) => {
  const it = await start(t);
  const { body: project } = await it.prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const mapping = { output: "alerts", title: "= body.title", key: "= body.key", status: "= body.status" };
  const receiver = await it.make({ projectId: project.id, mapping });
  const { mock } = t.mock.method(it.prism.parts.core.work, "charge");
  const rowsOf = async (status: string): Promise<number> => {
    const before = mock.callCount();
    const reply = await it.send(receiver, { title: "disk", key: "disk", status });
    assert.equal(reply.status, 200, reply.text);
    return mock.calls
      .slice(before)
      .filter(({ arguments: [account] }) => account?.projectId === project.id)
      .reduce((sum, { arguments: [, { rows = 0 }] }) => sum + rows, 0);
  };
  // One row is that of the log.
  assert.equal(await rowsOf("firing"), 3);
  assert.equal(await rowsOf("firing"), 1, "repeated");
  assert.equal(await rowsOf("resolved"), 3);
  const before = mock.callCount();
  const unknown = { title: "cpu", key: "cpu", status: "resolved" };
  assert.equal((await it.send(receiver, unknown)).status, 200);
  const charged = mock.calls.slice(before).filter(({ arguments: [account] }) => account?.projectId === project.id);
  const rows = charged.reduce((sum, { arguments: [, work] }) => sum + (work.rows ?? 0), 0);
  assert.equal(rows, 2, "an end without an alert is an event");
});

test("small requests that pass in spite of debt are not counted as refused", async (t) => {
  const it = await start(t);
  const { work } = it.prism.parts.core;
  const projectId = it.prism.parts.offers.defaultProjectId;
  const receiver = await it.make({});
  const others = { address: "192.0.2.66", url: `receiver:${receiver.id}` };
  for (let i = 0; i < 3; i++) work.charge(work.ofProject(projectId, others), { steps: 80_000_000 });
  assert.equal((await it.send(receiver, { title: "x" }, { headers: from("192.0.2.67") })).status, 200);
  assert.equal(work.useOf(projectId).refused, 0);
  const large = await it.send(receiver, { title: "x".repeat(20_000) }, { headers: from("192.0.2.67") });
  assert.equal(large.status, 429);
  assert.equal(work.useOf(projectId).refused, 1);
});

test("bodies above 256 KiB or 2000 members are read, masked and mapped in a thread that starts with the first one", async (t) => {
  const it = await start(t);
  const { preparing } = it.prism.parts.offers;
  const receiver = await it.make({ mapping: { title: "= body.title", key: "= body.key" } });
  await it.send(receiver, { title: "small", key: "k" });
  assert.equal(preparing.usesThread, false);
  const members = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`m${i}`, i]));
  assert.equal((await it.send(receiver, { title: "wide", password: "hunter22", ...members })).status, 200);
  assert.equal(preparing.usesThread, true);
  const long = { title: "long", text: "é".repeat(200_000), api_key: "k-123456" };
  assert.equal((await it.send(receiver, long)).status, 200);
  const events = await it.events();
  assert.deepEqual(events.map(({ payload }) => payload["title"]).sort(), ["long", "small", "wide"]);
  const wide = events.find(({ payload }) => payload["title"] === "wide");
  assert.equal((wide?.payload["body"] as { password?: string } | undefined)?.password, "•••");
  const requests = await it.requests(receiver);
  assert.deepEqual(rowsWith(requests, "result", "isCut"), [
    ["accepted", true],
    ["accepted", false],
    ["accepted", false],
  ]);
  assert.ok(!JSON.stringify(requests).includes("k-123456") && !JSON.stringify(requests).includes("hunter22"));
});

test("a request that arrives while a thread that was too slow ends is answered too", async (t) => {
  const thread = new PrepareThread(1);
  t.after(() => thread.stop());
  const job = {
    preparation: { row: { projectId: "p" }, request: { bytes: Buffer.alloc(1) } },
    ...{ mapping: {}, replayId: null, proof: null, spent: () => undefined },
  } as unknown as Parameters<PrepareThread["run"]>[0];
  const slow = { code: "PAYLOAD_TOO_LARGE" };
  const second = thread.run(job).then(
    () => assert.fail("a millisecond is too short for the start of a thread"),
    () => thread.run(job),
  );
  await assert.rejects(second, slow);
  await assert.rejects(thread.run(job), slow);
});

test("a large signed body is verified in the thread, before it is parsed", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ secret: SECRET, verify: [HMAC], maxBodyBytes: 2_000_000 });
  const body = JSON.stringify({ title: "large", text: "x".repeat(1_100_000) });
  assert.equal((await it.send(receiver, body, { headers: { ...JSON_TYPE, ...signed(body) } })).status, 200);
  const forged = await it.send(receiver, body, { headers: { ...JSON_TYPE, ...signed("another body") } });
  assert.equal(forged.status, 401);
  assert.equal((await it.events()).length, 1);
});

test("a body has at most 300 000 members, whatever its size", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ maxBodyBytes: 5_000_000 });
  const reply = await it.send(receiver, `[${"1,".repeat(400_000)}1]`, { headers: JSON_TYPE });
  assert.equal(reply.status, 413, reply.text);
});

test("S7: a mapping that takes too long for the main thread goes on in the thread, where it has as many steps as before", async (t) => {
  const it = await start(t);
  const { preparing } = it.prism.parts.offers;
  const many = Array.from({ length: 20 }, (_, i) => `matches(body.text, '(a|b|c)*x${i}(d|e)*z')`).join(" or ");
  const receiver = await it.make({ mapping: { title: "Found", when: `not (${many})` } });
  const reply = await it.send(receiver, { text: "abcabc".repeat(2600) });
  assert.equal(reply.status, 200);
  assert.equal(preparing.usesThread, true);
  const [logged] = await it.requests(receiver);
  assert.equal(logged?.result, "accepted", JSON.stringify(logged?.outcome));
});

test("S1: refused requests are logged once a second, cut at 64 KiB and masked", async (t) => {
  const clock = new FakeClock();
  const it = await ReceiverTest.start(t, { clock });
  const receiver = await it.make({ secret: SECRET, verify: [HMAC] });
  const body = `{"password":"hunter22","pin":1,"token":987654,"text":"${"x".repeat(100_000)}","secret":"behind"}`;
  for (let i = 0; i < 5; i++) assert.equal((await it.send(receiver, body, { headers: JSON_TYPE })).status, 401);
  const [logged, ...more] = await it.requests(receiver);
  assert.deepEqual(more, []);
  assert.equal(logged?.isCut, true);
  assert.equal(logged.bytes, body.length);
  assert.match(logged.body, /^\{"password":"•••","pin":1,"token":"•••","text":"xxx/);
  assert.ok(logged.body.length <= 65_536);
  clock.advance(1000);
  await it.send(receiver, body, { headers: JSON_TYPE });
  assert.equal((await it.requests(receiver)).length, 2);
  const metrics = await it.prism.get("/metrics");
  assert.match(metrics.text, /prism_receiver_requests_total\{preset="generic",result="refused"\} 6/);
});

test("the cost of a body that is hidden in a form, in JSON within JSON and in parameters is bounded, too", async (t) => {
  const it = await start(t);
  const { preparing } = it.prism.parts.offers;
  const receiver = await it.make({});
  const hidden = encodeURIComponent(`[${"[],".repeat(9000)}[]]`);
  for (const name of ["payload", "other"]) {
    const reply = await it.send(receiver, `${name}=${hidden}`, {
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.ok(reply.status < 300, reply.text);
  }
  assert.equal(preparing.usesThread, true);
});

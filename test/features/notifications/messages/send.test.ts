import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { rowCounts } from "../../../http/support/row-counts.ts";
import { codeOf, Mailbox, PATH, type Refused } from "./support/mailbox.ts";

const DAY = 86_400_000;

test("S4-13 POST /messages with recipient_id and content: accepted with the delay that is configured, on all its paths", async (t) => {
  keepsPromise(t, ["S4-13", "S4-23"]);
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const now = clock.now();
  for (const path of [PATH, "/messages", "/api/messages"]) {
    const body = { recipient_id: box.vic.id, content: "hello" };
    const reply = await answered(202, box.prism.post<{ id: string }>(path, body, { token: box.uma.token }));
    const { id, ...rest } = reply.body;
    assert.deepEqual(rest, {
      status: "scheduled",
      delayMs: 5000,
      deliverAt: new Date(now + 5000).toISOString(),
      senderId: box.uma.id,
      recipientId: box.vic.id,
      createdAt: new Date(now).toISOString(),
    });
    assert.deepEqual(box.jobOf(id), { ...box.jobOf(id), queue: "messages", state: "scheduled", attempts: 0 });
  }
});

test("D30 the delay is sendAt, else delayMs, else the default; what has passed is due now", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings: { "messages.defaultDelayMs": "7000" } });
  const at = (ms: number): string => new Date(clock.now() + ms).toISOString();
  for (const { name, body, delayMs } of [
    { name: "none", body: {}, delayMs: 7000 },
    { name: "delayMs", body: { delayMs: 250 }, delayMs: 250 },
    { name: "no delay", body: { delayMs: 0 }, delayMs: 0 },
    { name: "sendAt", body: { sendAt: at(60_000) }, delayMs: 60_000 },
    { name: "sendAt with an offset", body: { sendAt: at(60_000).replace("Z", "+00:00") }, delayMs: 60_000 },
    { name: "both", body: { sendAt: at(90_000), delayMs: 1 }, delayMs: 90_000 },
    { name: "sendAt in the past", body: { sendAt: at(-DAY) }, delayMs: 0 },
    { name: "thirty days", body: { delayMs: 30 * DAY }, delayMs: 30 * DAY },
    { name: "in thirty days", body: { sendAt: at(30 * DAY) }, delayMs: 30 * DAY },
  ])
    await t.test(name, async () => {
      const reply = await answered(202, box.post({ recipientId: "vic", content: "c", ...body }));
      assert.deepEqual([reply.body["delayMs"], reply.body["deliverAt"]], [delayMs, at(delayMs)]);
    });
});

test("the longest delay is configured, and a reload changes it", async (t) => {
  const box = await Mailbox.open(t, { settings: { "messages.maxDelayMs": "60000" } });
  const tooLong = async (body: object): Promise<unknown> => {
    const reply = await box.prism.post<Refused>(
      PATH,
      { recipientId: "vic", content: "c", ...body },
      { token: box.uma.token },
    );
    return [...codeOf(reply), reply.body.error?.details?.[0]?.path];
  };
  assert.deepEqual(await tooLong({ delayMs: 60_001 }), [400, "VALIDATION_FAILED", "delayMs"]);
  const later = new Date(Date.now() + DAY).toISOString();
  assert.deepEqual(await tooLong({ sendAt: later }), [400, "VALIDATION_FAILED", "sendAt"]);
  const { config } = box.prism.parts.base;
  box.prism.app.reload({ ...config, messages: { ...config.messages, maxDelayMs: 2 * DAY } });
  assert.deepEqual(await tooLong({ sendAt: later }), [202, undefined, undefined]);
});

test("a recipient is an id, an external id, a username or `me`; who is not active cannot be written to", async (t) => {
  const box = await Mailbox.open(t, { settings: { "notifications.unknownRecipient": "reject" } });
  const { prism } = box;
  await prism.patch(`/api/v1/users/${box.wim.id}`, { externalId: "crm-7" });
  const to = async (recipientId: string): Promise<unknown> => {
    const reply = await box.post({ recipientId, content: "c" });
    return reply.body["recipientId"] ?? codeOf(reply);
  };
  assert.deepEqual(
    [await to(box.vic.id), await to("vic"), await to("VIC"), await to("crm-7"), await to("me")],
    [box.vic.id, box.vic.id, box.vic.id, box.wim.id, box.uma.id],
  );
  await box.setStatus(box.wim, "disabled");
  const before = rowCounts(prism);
  for (const ref of ["nobody", "0198c0de-0000-7000-8000-000000000000", "wim", "crm-7", box.wim.id])
    assert.deepEqual(await to(ref), [422, "RECIPIENT_NOT_FOUND"], ref);
  assert.deepEqual(rowCounts(prism), before, "nothing is left of a message that was refused");
  const reply = await prism.post<Refused>(PATH, { recipient_id: "x", content: "c" }, { token: box.uma.token });
  assert.equal(reply.body.error.details?.[0]?.path, "recipient_id");
});

test("D18 in development an unknown recipient is created, and can get messages", async (t) => {
  const box = await Mailbox.open(t);
  const id = await box.send({ recipientId: "customer-17" });
  assert.equal((await box.until(id, "delivered")).status, "delivered");
  assert.equal(scalarOf(box.prism, "select count(*) from users where externalId = 'customer-17'"), 1);
});

test("content is 1 to 10 000 characters of normalised text", async (t) => {
  const box = await Mailbox.open(t);
  const content = async (text: unknown): Promise<unknown> => {
    const reply = await box.post({ recipientId: "vic", content: text, delayMs: 30 * DAY });
    if (reply.status !== 202) return codeOf(reply);
    return (await box.get(String(reply.body["id"]))).body.content;
  };
  const refused = [400, "VALIDATION_FAILED"];
  assert.equal(await content("a < b & c"), "a < b & c", "no markup is meant, none is escaped");
  assert.equal(await content("e\u0301\u0000x\u202Ey\nz"), "\u00e9xy\nz");
  const family = "👍".repeat(10_000);
  assert.equal(await content(family), family);
  for (const bad of [`${family}x`, "", "\u0000\u0007", null, 7, undefined])
    assert.deepEqual(await content(bad), refused);
});

test("a body says one recipient, and nothing that is unknown", async (t) => {
  const box = await Mailbox.open(t);
  const before = rowCounts(box.prism);
  for (const body of [
    { content: "c" },
    { content: "c", recipientId: "vic", recipient_id: "vic" },
    { content: "c", recipientId: "" },
    { content: "c", recipientId: ["vic"] },
    { content: "c", recipientId: "vic", delayMs: -1 },
    { content: "c", recipientId: "vic", delayMs: 1.5 },
    { content: "c", recipientId: "vic", delayMs: "5" },
    { content: "c", recipientId: "vic", sendAt: "tomorrow" },
    { content: "c", recipientId: "vic", sendAt: "2030-01-01T00:00:00" },
    { content: "c", recipientId: "vic", status: "delivered" },
  ])
    assert.deepEqual(codeOf(await box.post(body)), [400, "VALIDATION_FAILED"], JSON.stringify(body));
  assert.deepEqual(rowCounts(box.prism), before);
});

test("S4-34 sixty messages a minute of one sender: what is refused or repeated does not count, and others go on", async (t) => {
  keepsPromise(t, "S4-34");
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings: { "notifications.unknownRecipient": "reject" } });
  const body = { recipientId: "vic", content: "c" };
  const keyed = { token: box.uma.token, headers: { "Idempotency-Key": "k" } };
  const first = await box.post(body, keyed);
  assert.deepEqual([first.headers.get("ratelimit-limit"), first.headers.get("ratelimit-remaining")], ["60", "59"]);
  for (let i = 0; i < 20; i++) {
    assert.equal((await box.post(body, keyed)).status, 202, "a repetition");
    assert.equal((await box.post({ ...body, recipientId: "nobody" })).status, 422);
    assert.equal((await box.post({ ...body, content: "" })).status, 400);
  }
  const statuses = await Promise.all(Array.from({ length: 70 }, async () => (await box.post(body)).status));
  assert.equal(statuses.filter((status) => status === 202).length, 59);
  const refused = await box.post(body);
  assert.deepEqual(codeOf(refused), [429, "RATE_LIMITED"]);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(rowsOf(box.prism, "select 1 from messages").length, 60);
  assert.equal((await box.post(body, keyed)).status, 202, "a repetition still");
  assert.equal((await box.post(body, { token: box.wim.token })).status, 202, "somebody else");
  clock.advance(1000);
  assert.deepEqual([(await box.post(body)).status, (await box.post(body)).status], [202, 429]);
});

test("without limits there is none on messages", async (t) => {
  const box = await Mailbox.open(t, { clock: new FakeClock(), settings: { "rateLimit.enabled": "false" } });
  const statuses = await Promise.all(
    Array.from({ length: 65 }, async () => (await box.post({ recipientId: "vic", content: "c" })).status),
  );
  assert.deepEqual([...new Set(statuses)], [202]);
});

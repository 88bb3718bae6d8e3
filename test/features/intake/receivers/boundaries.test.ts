import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { ReceiverTest } from "./support.ts";

const SECRET = "the shared secret of the sender";
const HMAC = {
  ...{ scheme: "hmac", header: "x-sig", algorithm: "sha256", encoding: "hex", keyForm: "text", signed: ["{body}"] },
  allowRepeats: true,
};
const JSON_TYPE = { "content-type": "application/json" };

const start = (t: test.TestContext) => ReceiverTest.start(t, { clock: new FakeClock() });

/** JSON of exactly this many bytes. */
function bytesOf(length: number, members: object = {}): string {
  const body = (text: string) => JSON.stringify({ title: "t", ...members, text });
  return body("x".repeat(length - body("").length));
}

/** An object of this many members: a brace and the commas. */
function membersOf(count: number, members: object = {}): string {
  const given = Object.entries({ title: "t", ...members });
  const more = Array.from({ length: count - given.length }, (_, i) => [`k${i}`, 1] as const);
  return JSON.stringify(Object.fromEntries([...given, ...more]));
}

test("a verified request passes in debt up to 16 384 bytes, and not with one more", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ secret: SECRET, verify: [HMAC] });
  const { work } = it.prism.parts.core;
  const account = work.ofProject(it.prism.parts.offers.defaultProjectId);
  for (let i = 0; i < 3; i++) work.charge(account, { steps: 80_000_000 });
  for (const [length, expected] of [
    [16_383, 200],
    [16_384, 200],
    [16_385, 429],
  ] as const) {
    const body = bytesOf(length);
    const signature = createHmac("sha256", SECRET).update(body).digest("hex");
    const reply = await it.send(receiver, body, { headers: { ...JSON_TYPE, "x-sig": signature } });
    assert.equal(reply.status, expected, `${length} bytes: ${reply.text}`);
  }
});

test("a proof inside the body is looked for up to 65 536 bytes and 2000 members, and not with one more", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ secret: SECRET, verify: [{ scheme: "form", name: "Token" }] });
  const proof = { Token: SECRET };
  for (const [name, body, expected] of [
    ["65 535 bytes", bytesOf(65_535, proof), 200],
    ["65 536 bytes", bytesOf(65_536, proof), 200],
    ["65 537 bytes", bytesOf(65_537, proof), 413],
    ["1999 members", membersOf(1999, proof), 200],
    ["2000 members", membersOf(2000, proof), 200],
    ["2001 members", membersOf(2001, proof), 413],
  ] as const) {
    const reply = await it.send(receiver, body, { headers: JSON_TYPE });
    assert.equal(reply.status, expected, `${name}: ${reply.text}`);
  }
});

/** A list of this many elements. */
function elementsOf(count: number): string {
  return JSON.stringify({ a: Array.from({ length: count }, () => 1) });
}

for (const [name, sizes, make] of [
  ["100 elements of a split", [99, 100, 101], elementsOf],
  ["2000 members", [1999, 2000, 2001], membersOf],
  ["262 144 bytes", [262_143, 262_144, 262_145], bytesOf],
] as const)
  test(`up to ${name} a body is read on the main thread, and with one more in a thread`, async (t) => {
    const it = await start(t);
    const receiver = await it.make(make === elementsOf ? { mapping: { split: "body.a", title: "t" } } : {});
    const inThread: boolean[] = [];
    for (const size of sizes) {
      const reply = await it.send(receiver, make(size), { headers: JSON_TYPE });
      assert.equal(reply.status, 200, `${size}: ${reply.text}`);
      inThread.push(it.prism.parts.offers.preparing.usesThread);
    }
    assert.deepEqual(inThread, [false, false, true]);
  });

test("S7: a body that is split into many events is charged for each of them", async (t) => {
  const it = await start(t);
  const receiver = await it.make({ mapping: { split: "body.a", title: "t" } });
  const { mock } = t.mock.method(it.prism.parts.core.work, "charge");
  const rowsOf = async (count: number): Promise<number> => {
    const before = mock.callCount();
    const reply = await it.send(receiver, { a: Array.from({ length: count }, (_, i) => ({ i })) });
    assert.equal(reply.status, 200, reply.text);
    return mock.calls.slice(before).reduce((sum, { arguments: [, work] }) => sum + (work.rows ?? 0), 0);
  };
  // The entry of the log, too.
  for (const count of [1, 10, 500]) assert.equal(await rowsOf(count), 1 + count);
  const charged = new Set(mock.calls.flatMap(({ arguments: [account] }) => account?.projectId ?? []));
  assert.deepEqual([...charged], [it.prism.parts.offers.defaultProjectId]);
});

import assert from "node:assert/strict";
import test from "node:test";
import { LongInteger, parseWithLongIntegers } from "../../../../src/core/text/json-text.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { ReceiverTest } from "./support.ts";

const [A, B] = ["7615917337495251231", "7615917337495251232"];
const JSON_TYPE = { "Content-Type": "application/json" };

test("integers that a double cannot hold keep their digits: in keys, labels, titles, stored and answered JSON", async (t) => {
  const it = await ReceiverTest.start(t);
  const mapping = { title: "Link {{ body.id }}", labels: { link: "= body.id", "*": "= body.more" } };
  const receiver = await it.make({ mapping });
  const send = (id: string, status: string) =>
    it.send(receiver, `{"key":${id},"id":${id},"status":"${status}","more":{"peer":${id}},"list":[${id},1.5,12]}`, {
      headers: JSON_TYPE,
    });
  for (const id of [A, B]) assert.equal((await send(id, "down")).status, 200);
  const alerts = await it.alerts();
  assert.deepEqual(alerts.map(({ annotations }) => annotations["summary"]).sort(), [`Link ${A}`, `Link ${B}`]);
  assert.deepEqual(alerts.map(({ labels }) => [labels["link"], labels["peer"]].join()).sort(), [
    `${A},${A}`,
    `${B},${B}`,
  ]);
  await send(A, "up");
  assert.deepEqual(
    (await it.alerts()).map(({ key }) => key.endsWith(B)),
    [true],
    "the end of one is not that of the other",
  );
  const { text } = await it.prism.get("/api/v1/events?limit=100");
  assert.ok(text.includes(`"list":[${B},1.5,12]`), text);
  assert.ok(
    rowsOf<{ payload: string }>(it.prism, "select payload from events").some(({ payload }) =>
      payload.includes(`"id":${A}`),
    ),
  );
  const [logged] = await it.requests(receiver);
  assert.ok(JSON.stringify(logged?.body).includes(A));
});

test("the same in a body that is read in a thread", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const pad = Array.from({ length: 3000 }, () => 1).join();
  await it.send(receiver, `{"key":${A},"title":"Link","status":"down","pad":[${pad}],"peer":${B}}`, {
    headers: JSON_TYPE,
  });
  assert.ok((await it.alerts())[0]?.key.endsWith(A));
  const { text } = await it.prism.get("/api/v1/events?limit=100");
  assert.ok(text.includes(`"peer":${B}`), text.slice(-200));
});

test("rules compare such integers by value, also of events", async (t) => {
  const it = await ReceiverTest.start(t);
  const rules = [
    ["equal", `event.payload.id == ${A}`],
    ["other", `event.payload.id == ${B}`],
    ["not", `event.payload.id != ${B}`],
    ["in", `event.payload.id in [1, ${A}]`],
    ["greater", "event.payload.id > 1000"],
    ["less", `event.payload.id < ${B}`],
    ["small", "event.payload.id < 1000"],
    ["text", `string(event.payload.id) == '${A}'`],
  ];
  for (const [name, condition] of rules) {
    const rule = { name, condition, targetUsers: ["dev"], titleTemplate: `${name} {{ event.payload.id }}` };
    const made = await it.prism.post("/api/v1/rules", rule);
    assert.equal(made.status, 201, made.text);
  }
  const sent = await fetch(`${it.prism.url}/api/v1/events`, {
    method: "POST",
    headers: { ...JSON_TYPE, authorization: `Bearer ${it.prism.adminToken}` },
    body: `{"type":"link","payload":{"id":${A}}}`,
  });
  assert.equal(sent.status, 202, await sent.text());
  await eventually("decided", () => scalarOf(it.prism, "select count(*) from events where processedAt is null") === 0);
  const titles = rowsOf<{ title: string }>(it.prism, "select title from notifications where kind = 'rule'");
  assert.deepEqual(
    titles.map(({ title }) => title).sort(),
    ["equal", "greater", "in", "less", "not", "text"].map((name) => `${name} ${A}`),
  );
  assert.ok((await it.prism.get("/api/v1/events?limit=10")).text.includes(`"id":${A}`));
});

test("an integer of more than 100 digits is no identity, and a number as before", () => {
  const [known, number] = parseWithLongIntegers(`[${"7".repeat(100)},-${"7".repeat(101)}]`) as unknown[];
  assert.ok(known instanceof LongInteger);
  assert.equal(String(known), "7".repeat(100));
  assert.equal(number, -Number("7".repeat(101)));
});

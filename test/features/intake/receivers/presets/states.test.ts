import assert from "node:assert/strict";
import test from "node:test";
import type { ReceiverTest as Tried } from "../../../../../src/client/api-types.gen.ts";
import { BUILT_IN_PRESETS } from "../../../../../src/features/intake/receivers/presets/index.ts";
import { type Made, ReceiverTest } from "../support.ts";
import { signerOf } from "./support/sign.ts";
import { type Row, STATES } from "./support/states.ts";

async function tried(it: ReceiverTest, receiver: Made, [, body, , given = {}]: Row): Promise<string> {
  const { headers = {}, method, query, contentType = "application/json" } = given;
  const request = {
    ...{ headers, contentType, body: typeof body === "string" ? body : JSON.stringify(body) },
    ...(method !== undefined && { method }),
    ...(query !== undefined && { query }),
  };
  const reply = await it.prism.post<Tried>(`/api/v1/receivers/${receiver.id}/test`, { request });
  assert.equal(reply.status, 200, reply.text);
  const { result, events, alerts } = reply.body;
  const [alert] = alerts;
  if (alert) {
    const { key, status, labels, annotations } = alert;
    return status === "firing"
      ? `${status} ${labels["severity"]} ${annotations["summary"]} [${key}]`
      : `${status} [${key}]`;
  }
  const [event] = events;
  return event ? `${event.type} ${event.level} ${event.payload.title}` : result;
}

test("requests of each sender become the state, level, title and key that its pages describe", async (t) => {
  const it = await ReceiverTest.start(t);
  let count = 0;
  for (const [preset, rows] of Object.entries(STATES)) {
    const isRequired = BUILT_IN_PRESETS.find(({ name }) => name === preset)?.secret === "required";
    const receiver = await it.make({ name: preset, preset, ...(isRequired && { secret: signerOf(preset).secret }) });
    for (const row of rows) {
      assert.equal(await tried(it, receiver, row), row[2], `${preset}: ${row[0]}`);
      count += 1;
    }
  }
  t.diagnostic(`${count} requests of ${Object.keys(STATES).length} senders`);
});

/** A sample with one member missing, or of another type, for each of its members. */
function* mutated(value: unknown): Generator<unknown> {
  for (const other of [null, 7, true, "x".repeat(20_000), "{{ body }}", [], [[1]], { a: { b: [null] } }]) yield other;
  if (Array.isArray(value)) {
    for (const [i, each] of value.entries()) for (const other of mutated(each)) yield value.with(i, other);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, each] of Object.entries(value)) {
      const { [name]: _, ...rest } = value as Record<string, unknown>;
      yield rest;
      for (const other of mutated(each)) yield { ...rest, [name]: other };
    }
  }
}

test("no sample with a wrong or missing member breaks its preset", async (t) => {
  const it = await ReceiverTest.start(t, { settings: { "rateLimit.enabled": "false" } });
  const counts: Record<number, number> = {};
  for (const { name: preset, sample, secret } of BUILT_IN_PRESETS) {
    if (typeof sample.body === "string") continue;
    const open = secret === "required" ? { secret: "a secret", verify: [{ scheme: "credential" }] } : {};
    const receiver = await it.make({ name: preset, preset, ...open });
    const bodies = [...mutated(sample.body)];
    // A member in the middle, too: every seventh of all.
    for (const body of bodies.filter((_, i) => i % 7 === 0)) {
      const { "x-amz-sns-message-type": _, ...headers } = { "x-amz-sns-message-type": "", ...sample.headers };
      const text = JSON.stringify(body);
      const { status } = await it.send(receiver, text, {
        headers: { "content-type": "application/json", authorization: "Bearer a secret", ...headers },
      });
      counts[status] = (counts[status] ?? 0) + 1;
      assert.ok(status < 300, `${preset} ${status}: ${text.slice(0, 300)}`);
    }
  }
  t.diagnostic(JSON.stringify(counts));
});

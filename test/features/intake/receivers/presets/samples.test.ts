import assert from "node:assert/strict";
import test from "node:test";
import { BUILT_IN_PRESETS } from "../../../../../src/features/intake/receivers/presets/index.ts";
import { ReceiverTest } from "../support.ts";
import { newestOutcome } from "./support/outcome.ts";
import { signerOf } from "./support/sign.ts";

/** Senders whose secret proves nothing here: none, or a certificate of Amazon's. */
const UNSIGNED = ["mail", "slack", "discord", "truenas", "cloudwatch"];

test("the sample of each preset gets in with its secret, once, and not with a wrong one", async (t) => {
  const it = await ReceiverTest.start(t);
  let refused = 0;
  for (const preset of BUILT_IN_PRESETS.filter(({ name }) => !UNSIGNED.includes(name))) {
    const { sample, name } = preset;
    const { secret, sign } = signerOf(name);
    const receiver = await it.make({ name, preset: name, secret });
    const body = typeof sample.body === "string" ? sample.body : JSON.stringify(sample.body);
    const at = { seconds: Math.floor(Date.now() / 1000), id: `msg_${name}` };
    const headers = { "content-type": sample.contentType ?? "application/json", ...sample.headers };
    const another = secret.startsWith("whsec_") ? `whsec_${"B".repeat(32)}` : "another secret";
    const other = await it.make({ name: `${name} 2`, preset: name, secret: another });
    for (const [target, more] of [
      [receiver, {}],
      [other, sign(body, at)],
    ] as const) {
      if (name === "statuscake" && target === receiver) continue;
      const reply = await it.send(target, body, { headers: { ...headers, ...more } });
      assert.equal(reply.status, 401, `${name}: ${reply.text}`);
      refused += 1;
    }
    const signed = { ...headers, ...sign(body, at) };
    const reply = await it.send(receiver, body, { headers: signed });
    assert.equal(reply.status, preset.answer?.status ?? 200, `${name}: ${reply.text}`);
    const { title, stored } = await newestOutcome(it, receiver);
    assert.ok(title !== undefined && title.length > 0 && stored !== "", name);
    if (name === "generic" || sign(body, at)["authorization"] !== undefined || name === "statuscake") continue;
    assert.equal((await it.send(receiver, body, { headers: signed })).status, 200, name);
    const [again] = await it.requests(receiver, 1);
    assert.equal(again?.result, "replayed", `${name}: a repeated signed request`);
  }
  t.diagnostic(`${refused} requests without the secret were refused`);
  assert.deepEqual(await it.events("receiver.unmapped"), []);
});

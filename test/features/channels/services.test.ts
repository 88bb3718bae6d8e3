import assert from "node:assert/strict";
import { test } from "node:test";
import type { PrismError } from "../../../src/core/errors.ts";
import { fieldsAfter } from "../../../src/features/channels/fields.ts";
import { MORE_SERVICES, SERVICES } from "./support/all.ts";
import { channelContract, presetOf } from "./support/contract.ts";
import { sendExample } from "./support/example.ts";

for (const service of MORE_SERVICES) channelContract(service);

/** The same kind of secret, but not the service's. */
function wrong(secret: string): string {
  return secret.replace(/[A-Za-z0-9](?=[^A-Za-z0-9]*$)/, (last) => (last === "a" ? "b" : "a"));
}

for (const makeService of MORE_SERVICES) {
  const { preset: name } = makeService();
  const secrets = presetOf(name).fields.filter(({ key, secret }) => secret && makeService().fields("http://x")[key]);

  for (const { key, title } of secrets)
    test(`${name}: a wrong ${title} is refused, and the owner reads why`, async (t) => {
      const outcome = await sendExample(t, makeService(), (fields) => ({ [key]: wrong(fields[key] ?? "") }));
      // A gateway of one's own may answer in any way; its errors end the message only.
      if (name === "sms") assert.ok(["dead", "refused"].includes(outcome.class));
      else assert.match(`${outcome.class}: ${outcome.hint}`, /^(refused|gone): \w/, JSON.stringify(outcome));
    });
}

test("the fields of the stand-ins fit the patterns of their presets", () => {
  for (const makeService of SERVICES) {
    const { preset, fields } = makeService();
    assert.doesNotThrow(() => fieldsAfter(presetOf(preset), fields("http://127.0.0.1:8080")), preset);
  }
});

test("the URL of a retired connector of Teams is refused with what to do instead", () => {
  const url = "https://example.webhook.office.com/webhookb2/0123@4567/IncomingWebhook/89ab/cdef";
  const refused = (error: PrismError): boolean =>
    /Office 365 connectors.*make a workflow/.test(JSON.stringify(error.details));
  assert.throws(() => fieldsAfter(presetOf("teams"), { url }), refused);
});

test("an error of Teams in a success is a wait or a shorter text, not a refusal", async (t) => {
  const service = MORE_SERVICES.map((make) => make()).find(({ preset }) => preset === "teams");
  assert.ok(service);
  const said = (code: number) =>
    `Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error ${code} with ContextId a.`;
  for (const [code, expected] of [
    [429, "wait"],
    // Half of the text was sent, too.
    [413, "dead"],
    [410, "refused"],
  ] as const) {
    const outcome = await sendExample(t, { ...service, answer: () => ({ status: 200, body: said(code) }) });
    assert.equal(outcome.class, expected, said(code));
  }
});

test("a line break of a message stays one where Markdown would join the lines", async (t) => {
  for (const makeService of MORE_SERVICES) {
    const { preset } = makeService();
    if (!["teams", "gotify", "webex", "dingtalk"].includes(preset)) continue;
    const outcome = await sendExample(t, makeService(), () => ({}), { message: "first line\nsecond line" });
    assert.match(String(outcome.request?.body), /first line(\\n\\n| {2}\\n)second line/, preset);
  }
});

test("a link is whole or left out", async (t) => {
  const ackUrl = `https://prism.example/a/${"x".repeat(400)}`;
  for (const makeService of MORE_SERVICES) {
    const { preset } = makeService();
    if (preset !== "twilio-sms" && preset !== "vonage") continue;
    const outcome = await sendExample(t, makeService(), () => ({}), { ackUrl });
    assert.equal(outcome.class, "ok");
    assert.ok(!String(outcome.request?.body).includes("prism.example"), preset);
  }
});

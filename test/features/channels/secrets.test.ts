import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { answered, startPrism } from "../../helpers/prism.ts";
import { valuesOf } from "../../helpers/values.ts";

const PATH = "/api/v1/channels";
const SECRETS = { token: "SuperSecretTokenValue1234567", secret: "another-secret-value" };
const URL_FIELD = "http://127.0.0.1:9/hook/secret-path-of-url";

interface Refusal {
  readonly id: string;
  readonly version: number;
  readonly error: { readonly details: readonly { readonly path: string; readonly message: string }[] };
}

async function open(t: TestContext, preset: string, fields: object) {
  const prism = await startPrism(t, { settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" } });
  const { body } = await answered(201, prism.post<Refusal>(PATH, { name: "Room", preset, fields }));
  let { version } = body;
  const change = async (input: object) => {
    const reply = await prism.patch<Refusal>(`${PATH}/${body.id}`, input, { headers: { "If-Match": `"${version}"` } });
    if (reply.status === 200) version = reply.body.version;
    return reply;
  };
  return { prism, change, path: `${PATH}/${body.id}` };
}

test("a template uses a secret whole only, so that nothing of it is shown", async (t) => {
  const { prism, change, path } = await open(t, "http", { url: URL_FIELD, ...SECRETS });
  const url = "{{ field.url }}";
  for (const request of [
    ...[
      "first:27",
      "cut:9",
      "upper",
      "lower",
      "md2",
      "md",
      "html",
      "hash",
      "b64",
      "prefix:'x' | b64",
      "json | b64",
    ].map((filters) => ({ url, body: { x: `{{ field.token | ${filters} }}` } })),
    { url, body: { x: "{{ n.title | prefix:field.token }}" } },
    { url, body: { x: "{{ field | json }}" } },
    { url, body: { x: { $value: "field" } } },
    { url, body: { x: { $map: "field.token", abc: "yes" } } },
    { url, body: { x: { $number: "field.secret" } } },
    { url, body: { x: { $if: "field.token == 'abc'", $then: "yes" } } },
    { url, headers: { "X-A": "{{ field['token'] | trim }}" } },
    { url: "{{ field.url | suffix:'.example.net' }}" },
    { url: "{{ field.url }}.{{ field.token }}.example.net/" },
    { url: "{{ field.url }}{{ n.title }}" },
  ]) {
    const reply = await change({ template: { request } });
    assert.equal(reply.status, 400, JSON.stringify(request));
    assert.equal(reply.body.error.details[0]?.path, "template");
  }
  assert.equal((await change({ template: { title: "{{ n.title | default:field.token }}" } })).status, 400);
  const headers = { "X-Key": "{{ field.secret }}", "Authorization?": "{{ field.token | prefix:'Token ' }}" };
  const body = { a: "{{ field.token }}", b: { $if: "field.secret", $then: "x" }, c: { $value: "field.secret" } };
  await answered(200, change({ template: { request: { url: `${url}/send`, headers, body } } }));
  const dry = await answered(200, prism.post(`${path}/test`, { dryRun: true }));
  assert.match(dry.text, /Token •••/);
  for (const secret of [...Object.values(SECRETS), "secret-path-of-url"]) assert.ok(!dry.text.includes(secret), secret);
});

test("another server needs the secrets again", async (t) => {
  const { change } = await open(t, "http", { url: URL_FIELD, ...SECRETS });
  const moved = "http://127.0.0.1:10/";
  const refused = await answered(400, change({ fields: { url: moved } }));
  assert.deepEqual(valuesOf(refused.body.error.details, "path"), ["fields.token", "fields.secret"]);
  assert.match(refused.body.error.details[0]?.message ?? "", /given again, because url changes/);
  const masked = { token: `•••• ${SECRETS.token.slice(-4)}`, secret: `•••• ${SECRETS.secret.slice(-4)}` };
  assert.equal((await change({ fields: { url: moved, ...masked } })).status, 400);
  assert.equal((await change({ fields: { username: "ann" }, name: "New" })).status, 200);
  assert.equal((await change({ fields: { url: moved, token: SECRETS.token, secret: null } })).status, 200);
});

test("a base URL in place of the service's own needs the secrets again", async (t) => {
  const token = "123456789:AAsecretsecretsecretsecretsecretsec";
  const { change } = await open(t, "telegram", { token, chat: "-100123" });
  const api = "http://127.0.0.1:9";
  assert.equal((await change({ fields: { api } })).status, 400);
  assert.equal((await change({ fields: { api, token } })).status, 200);
  assert.equal((await change({ fields: { api: null } })).status, 400);
});

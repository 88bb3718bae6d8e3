import assert from "node:assert/strict";
import test from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import { requireBody, requireSignature } from "../../../../src/features/protocols/pusher/feature.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { serverSdk, signedTarget } from "../../../helpers/pusher-rest.ts";
import { countOf } from "../../../helpers/tables.ts";

/** The example of Pusher's reference of the REST API. */
const APP = { appId: "3", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" };
const SIGNED_AT = 1_353_088_179_000;
const BODY = '{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}';
const QUERY =
  "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f" +
  "&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";
const SETTINGS = { "pusher.appId": APP.appId, "pusher.key": APP.key, "pusher.secret": APP.secret };
const HEADERS = { "Content-Type": "application/json" };

test("S2-03: the signature is the one of Pusher's reference", async (t) => {
  const parts = { method: "POST", path: "/apps/3/events", queryText: QUERY };
  const query = requireSignature(APP, parts, SIGNED_AT);
  requireBody(query, Buffer.from(BODY));
  assert.throws(() => requireBody(query, Buffer.from(`${BODY} `)), PrismError);

  await t.test("and over the wire, until 600 seconds have passed, either way", async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { settings: SETTINGS, clock });
    const statusAt = async (at: number): Promise<number> => {
      clock.set(at - clock.now());
      const reply = await prism.post(`/apps/3/events?${QUERY}`, BODY, { token: null, headers: HEADERS });
      return reply.status;
    };
    const statuses = [];
    for (const seconds of [-601, -600, 0, 600, 601]) statuses.push(await statusAt(SIGNED_AT + seconds * 1000));
    assert.deepEqual(statuses, [401, 200, 200, 200, 401]);
  });
});

test("S2-03: what is not signed as it is sent is refused, and triggers nothing", async (t) => {
  const prism = await startPrism(t, { settings: SETTINGS });
  const path = "/apps/3/events";
  const body = '{"name":"e","channel":"news","data":"{}"}';
  const good = signedTarget(APP, path, { method: "POST", body });
  const query = good.slice(good.indexOf("?") + 1);
  const replaced = (name: string, value: string): string => {
    const parameters = new URLSearchParams(query);
    parameters.set(name, value);
    return `${path}?${parameters}`;
  };
  const sign = (options: Parameters<typeof signedTarget>[2] = {}, app: typeof APP = APP) =>
    signedTarget(app, path, { method: "POST", body, ...options });
  const invalid = [401, "SIGNATURE_INVALID"] as const;
  const refusals: readonly (readonly [string, string, string, readonly [number, string]])[] = [
    ["no signature", path, body, invalid],
    ["an empty signature", replaced("auth_signature", ""), body, invalid],
    ["a signature in upper case", replaced("auth_signature", query.slice(-64).toUpperCase()), body, invalid],
    ["a signature by another secret", sign({}, { ...APP, secret: "x" }), body, invalid],
    ["another key", sign({}, { ...APP, key: "x" }), body, invalid],
    [
      "another timestamp than was signed",
      replaced("auth_timestamp", String(Math.floor(Date.now() / 1000) + 1)),
      body,
      invalid,
    ],
    ["a timestamp that is too old", sign({ at: Date.now() - 660_000 }), body, invalid],
    ["a timestamp that is too new", sign({ at: Date.now() + 660_000 }), body, invalid],
    [
      "a timestamp that is no number",
      sign({ query: { auth_timestamp: "soon" } }).replace(/auth_timestamp=\d+/, "auth_timestamp=soon"),
      body,
      invalid,
    ],
    ["another version", sign().replace("auth_version=1.0", "auth_version=2.0"), body, invalid],
    [
      "the signature of another path",
      `${path}?${signedTarget(APP, "/apps/3/batch_events", { method: "POST", body }).split("?")[1]}`,
      body,
      invalid,
    ],
    ["the signature of another method", sign({ method: "GET" }), body, invalid],
    ["another body", good, body.replace('"e"', '"f"'), invalid],
    ["a body that was not signed", signedTarget(APP, path, { method: "POST" }), body, invalid],
    ["another md5", replaced("body_md5", "0".repeat(32)), body, invalid],
    ["a parameter that was added", `${good}&info=user_count`, body, invalid],
    ["a parameter with an ampersand in it", sign({ query: { a: "b&info=user_count" } }), body, invalid],
    ["a parameter that stands twice", `${good}&auth_key=${APP.key}`, body, [400, "VALIDATION_FAILED"]],
    ["a parameter that is no UTF-8", `${good}&a=%ff`, body, [400, "VALIDATION_FAILED"]],
    ["an app that is not here", good.replace("/apps/3/", "/apps/4/"), body, [404, "NOT_FOUND"]],
  ];
  for (const [name, target, text, expected] of refusals)
    await t.test(name, async () => {
      const reply = await prism.post<{ error: { code: string } }>(target, text, { token: null, headers: HEADERS });
      assert.deepEqual([reply.status, reply.body.error?.code], expected, reply.text);
      assert.equal(reply.text.includes(APP.secret), false);
    });
  await t.test("an Admin's token is not a signature", async () => {
    assert.equal((await prism.post(path, body)).status, 401);
  });
  assert.equal(countOf(prism, "stream_log"), 0);

  await t.test("with parameters in any order and encoding", async () => {
    const reversed = query.split("&").reverse().join("&");
    const encoded = query.replace("auth_version=1.0", "auth%5Fversion=1%2E0");
    for (const each of [query, reversed, encoded])
      assert.equal((await prism.post(`${path}?${each}`, body, { token: null, headers: HEADERS })).status, 200);
    // As at Pusher: nothing notes that it was sent before.
    assert.equal(countOf(prism, "stream_log"), 3);
  });
});

test("the signature is in no line of the log, and neither are the parameters", async (t) => {
  const log = new LogLines();
  const prism = await startPrism(t, { settings: SETTINGS, log });
  const sdk = serverSdk(prism);
  await sdk.trigger("news", "e", "the-data");
  await sdk.get({ path: "/channels", params: { filter_by_prefix: "the-prefix" } });
  await prism.post("/apps/3/events?auth_signature=the-signature&auth_key=the-key", "{}", { headers: HEADERS });
  const text = JSON.stringify(log.lines);
  assert.ok(text.includes("/apps/:appId/events"), "the route is");
  for (const secret of ["auth_", "the-signature", "the-key", "the-prefix", "the-data", "body_md5", APP.secret])
    assert.equal(text.includes(secret), false, secret);
});

test("S2-84: with pusher.mode remote there is no REST API of ours", async (t) => {
  const prism = await startPrism(t, { settings: { ...SETTINGS, "pusher.mode": "remote", "pusher.cluster": "eu" } });
  const reply = await prism.post<{ error: { code: string } }>(`/apps/3/events?${QUERY}`, BODY, { token: null });
  assert.deepEqual([reply.status, reply.body.error.code], [404, "NOT_FOUND"]);
});

test("S2-86: signed requests count by their key, as an API key's do, and all others by their address", async (t) => {
  // The first request of this address is the one for the administrator's token.
  const prism = await startPrism(t, { settings: { ...SETTINGS, "rateLimit.key": "2", "rateLimit.ip": "2" } });
  const statusOf = async (target: string): Promise<number> => (await prism.get(target, { token: null })).status;
  const signed = signedTarget(APP, "/apps/3/channels");
  const unsigned = "/apps/3/channels";
  const statuses = [];
  for (const target of [signed, unsigned, signed, unsigned, signed]) statuses.push(await statusOf(target));
  assert.deepEqual(statuses, [200, 401, 200, 429, 429]);
});

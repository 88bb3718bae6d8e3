import assert from "node:assert/strict";
import test from "node:test";
import { createToken } from "../../src/core/crypto/tokens.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { errorCodeOf, exchangeRaw, requestText } from "./support/raw-connection.ts";

test("S0-22: a credential counts in the forms of the contract, and only one of them at a time", async (t) => {
  keepsPromise(t, "S0-22");
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  const jwt = prism.adminToken;
  const EVENTS = "/api/v1/events";
  const STREAM = "/realtime/default/sse";
  for (const [name, path, lines, outcome] of [
    ["bearer", EVENTS, [`Authorization: Bearer ${jwt}`], 200],
    ["bearer in other letters", EVENTS, [`authorization: bEARER ${jwt}`], 200],
    ["spaces around", EVENTS, [`Authorization:   Bearer   ${jwt}  `], 200],
    ["a key in its own header", EVENTS, [`X-API-Key: ${apiKey}`], 200],
    ["a key as ApiKey", EVENTS, [`Authorization: ApiKey ${apiKey}`], 200],
    ["a key as Bearer", EVENTS, [`Authorization: Bearer ${apiKey}`], 200],
    ["nothing", EVENTS, [], "UNAUTHENTICATED"],
    ["an empty field", EVENTS, ["Authorization:"], "UNAUTHENTICATED"],
    ["empty fields", EVENTS, ["Authorization:", "X-API-Key:"], "UNAUTHENTICATED"],
    ["a scheme alone", EVENTS, ["Authorization: Bearer"], "UNAUTHENTICATED"],
    ["a token alone", EVENTS, [`Authorization: ${jwt}`], "UNAUTHENTICATED"],
    ["another scheme", EVENTS, ["Authorization: Digest username=dev"], "UNAUTHENTICATED"],
    ["a cookie", EVENTS, [`Cookie: token=${jwt}`], "UNAUTHENTICATED"],
    ["a scheme and its token joined by a tab", EVENTS, [`Authorization: Bearer\t${jwt}`], "UNAUTHENTICATED"],
    ["an access token as key", EVENTS, [`X-API-Key: ${jwt}`], "INVALID_API_KEY"],
    ["two tokens", EVENTS, [`Authorization: Bearer ${jwt}`, `Authorization: Bearer ${jwt}`], "AMBIGUOUS_CREDENTIALS"],
    ["two keys", EVENTS, [`X-API-Key: ${apiKey}`, `X-API-Key: ${apiKey}`], "AMBIGUOUS_CREDENTIALS"],
    ["two in one field", EVENTS, [`X-API-Key: ${apiKey},${apiKey}`], "AMBIGUOUS_CREDENTIALS"],
    ["a token and a key", EVENTS, [`Authorization: Bearer ${jwt}`, `X-API-Key: ${apiKey}`], "AMBIGUOUS_CREDENTIALS"],
    [
      "a token and a key that is none",
      EVENTS,
      [`Authorization: Bearer ${jwt}`, "X-API-Key: x"],
      "AMBIGUOUS_CREDENTIALS",
    ],
    ["in the query of a plain route", `${EVENTS}?token=${jwt}`, [], "UNAUTHENTICATED"],
    ["in the query, and bad, beside a good one", `/api/v1/users/me?token=x`, [`Authorization: Bearer ${jwt}`], 200],
    ["in the query of a stream", `${STREAM}?token=${jwt}`, [], 200],
    ["a key in the query of a stream", `/realtime/shop/sse?token=${apiKey}`, [], 200],
    ["in the query and a header", `${STREAM}?token=${jwt}`, [`Authorization: Bearer ${jwt}`], "AMBIGUOUS_CREDENTIALS"],
    ["in the query and a key", `${STREAM}?token=${jwt}`, [`X-API-Key: ${apiKey}`], "AMBIGUOUS_CREDENTIALS"],
    ["twice in the query", `${STREAM}?token=${jwt}&token=${jwt}`, [], "VALIDATION_FAILED"],
    ["a bad one in the query", `${STREAM}?token=nonsense`, [], "TOKEN_INVALID"],
  ] as const) {
    await t.test(`${name}: ${outcome}`, async (t) => {
      // A stream's head is enough.
      const method = path.includes("/sse") && outcome === 200 ? "HEAD" : "GET";
      const reply = await exchangeRaw(t, prism.app.port, requestText(method, path, lines), method);
      assert.equal(outcome === 200 ? reply.status : errorCodeOf(reply), outcome);
      if (reply.status === 401) {
        const challenge = `Bearer realm="prism"${outcome === "UNAUTHENTICATED" ? "" : ', error="invalid_token"'}`;
        assert.equal(reply.headers.get("www-authenticate"), challenge);
      }
    });
  }
});

const codeOf = async (prism: TestPrism, apiKey: string): Promise<string> => {
  const { status, body } = await prism.get<{ error?: { code: string } }>("/api/v1/events", { apiKey });
  return body.error ? `${status} ${body.error.code}` : String(status);
};

test("S1-43: an API key is refused when it is revoked, replaced, expired or invalid, on the very next request", async (t) => {
  keepsPromise(t, "S1-43");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { id, apiKey } = await makeProject(prism);
  const path = `/api/v1/projects/${id}/keys`;
  const make = async (body: object = {}) => (await prism.post<{ id: string; key: string }>(path, body)).body;
  const REFUSED = "401 INVALID_API_KEY";
  await t.test("revoked", async () => {
    const key = await make();
    assert.equal(await codeOf(prism, key.key), "200");
    await prism.delete(`${path}/${key.id}`);
    assert.equal(await codeOf(prism, key.key), REFUSED);
  });
  await t.test("replaced at once", async () => {
    const key = await make();
    assert.equal(await codeOf(prism, key.key), "200");
    const { body: next } = await prism.post<{ key: string }>(`${path}/${key.id}/rotate`, {});
    assert.deepEqual([await codeOf(prism, key.key), await codeOf(prism, next.key)], [REFUSED, "200"]);
  });
  await t.test("replaced after a grace", async () => {
    const key = await make();
    const { body: next } = await prism.post<{ key: string }>(`${path}/${key.id}/rotate`, { graceMs: 60_000 });
    assert.deepEqual([await codeOf(prism, key.key), await codeOf(prism, next.key)], ["200", "200"]);
    clock.advance(60_000);
    assert.deepEqual([await codeOf(prism, key.key), await codeOf(prism, next.key)], [REFUSED, "200"]);
  });
  await t.test("over", async () => {
    const key = await make({ expiresAt: new Date(clock.now() + 10_000).toISOString() });
    assert.equal(await codeOf(prism, key.key), "200");
    clock.advance(10_000);
    assert.equal(await codeOf(prism, key.key), REFUSED);
  });
  for (const [name, key] of [
    ["unknown, though well formed", createToken("prk").token],
    ["one character changed", `${apiKey.slice(0, 10)}${apiKey[10] === "a" ? "b" : "a"}${apiKey.slice(11)}`],
    ["cut short", apiKey.slice(0, -1)],
    ["with more behind it", `${apiKey}0`],
    ["its prefix alone", apiKey.slice(0, 12)],
    ["in capitals", apiKey.toUpperCase()],
    ["as a service token", apiKey.replace("prk_", "prt_")],
    ["a word", "key"],
    ["SQL", "' or 1=1 --"],
    ["8000 characters", "k".repeat(8000)],
  ] as const) {
    await t.test(name, async () => assert.equal(await codeOf(prism, key), REFUSED));
  }
  await t.test("9000 characters are not even looked at", async () => {
    assert.equal(await codeOf(prism, "k".repeat(9000)), "401 TOKEN_INVALID");
  });
  await t.test("its project is deleted", async () => {
    assert.equal(await codeOf(prism, apiKey), "200");
    await prism.delete(`/api/v1/projects/${id}`);
    assert.equal(await codeOf(prism, apiKey), REFUSED);
  });
});

test("the metrics token reads the metrics and nothing else", async (t) => {
  const metricsToken = "metrics-token-of-this-test";
  const prism = await startPrism(t, { settings: { metricsToken } });
  const via = { Via: "1.1 test" };
  for (const [token, path, status] of [
    [metricsToken, "/metrics", 200],
    [metricsToken.slice(0, -1), "/metrics", 401],
    [`${metricsToken}x`, "/metrics", 401],
    [metricsToken.toUpperCase(), "/metrics", 401],
    [metricsToken, "/api/v1/status", 401],
    [metricsToken, "/api/v1/users/me", 401],
    [null, "/metrics", 401],
  ] as const) {
    assert.equal((await prism.get(path, { token, headers: via })).status, status, `${token} at ${path}`);
  }
});

import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeAccount } from "../../access/sessions/support/auth-client.ts";
import { protect } from "../../access/sessions/support/second-factor.ts";
import { type Application, basic, type GotifyFault, type GotifyMessage, GotifyTest, key } from "./support.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const PARTS = { "Content-Type": "multipart/form-data; boundary=b" };
const part = (name: string, value: string): string =>
  `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n--b--\r\n`;

/** Bodies that are refused, with the beginning of Gotify's text. */
const REFUSED: readonly (readonly [headers: Record<string, string>, body: string | Uint8Array, text: string])[] = [
  [JSON_TYPE, "", "EOF"],
  [JSON_TYPE, "{", "The body is not JSON"],
  [JSON_TYPE, "[]", "json: cannot unmarshal"],
  [JSON_TYPE, "null", "json: cannot unmarshal"],
  [JSON_TYPE, '"text"', "json: cannot unmarshal"],
  [JSON_TYPE, "{}", "Field 'message' is required"],
  [JSON_TYPE, '{"message":""}', "Field 'message' is required"],
  [JSON_TYPE, '{"message":null}', "Field 'message' is required"],
  [JSON_TYPE, '{"message":1}', "json: cannot unmarshal number"],
  [JSON_TYPE, '{"message":["m"]}', "json: cannot unmarshal array"],
  [JSON_TYPE, '{"message":"m","title":{}}', "json: cannot unmarshal object"],
  [JSON_TYPE, '{"message":"m","priority":"5"}', "json: cannot unmarshal string"],
  [JSON_TYPE, '{"message":"m","priority":1.5}', "json: cannot unmarshal number"],
  [JSON_TYPE, '{"message":"m","priority":1e300}', "json: cannot unmarshal number"],
  [JSON_TYPE, '{"message":"m","priority":true}', "json: cannot unmarshal bool"],
  [JSON_TYPE, '{"message":"m","extras":[]}', "json: cannot unmarshal array"],
  [JSON_TYPE, '{"message":"m","extras":"x"}', "json: cannot unmarshal string"],
  [JSON_TYPE, "[".repeat(100_000), "The body nests deeper"],
  [JSON_TYPE, `{"message":"m","extras":${'{"a":'.repeat(500)}1${"}".repeat(500)}}`, "The body nests deeper"],
  [JSON_TYPE, Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), "The body is not JSON"],
  [FORM, "", "Field 'message' is required"],
  [FORM, `message=m${"&a=1".repeat(10_000)}`, "The form has more than 10000 fields"],
  [
    PARTS,
    `${'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'.repeat(10_000)}${part("message", "m")}`,
    "The form has more than 10000 fields",
  ],
  [FORM, "message=", "Field 'message' is required"],
  [FORM, "message=m&priority=high", "strconv.ParseInt"],
  [FORM, "message=m&priority=99999999999999999999", "strconv.ParseInt"],
  [FORM, "message=m&priority=0x10", "strconv.ParseInt"],
  [PARTS, "", "multipart:"],
  [PARTS, "--b", "multipart:"],
  [PARTS, "--x\r\n\r\n--x--", "multipart:"],
  [PARTS, part("title", "t"), "Field 'message' is required"],
  [{ "Content-Type": "multipart/form-data" }, part("message", "m"), "multipart:"],
];

/** Bodies that look odd and are accepted as they are. */
const ACCEPTED: readonly (readonly [Record<string, string>, string, Partial<GotifyMessage>])[] = [
  [JSON_TYPE, '{"message":"m","__proto__":{"priority":9},"constructor":1}', { message: "m", priority: 0 }],
  [JSON_TYPE, '{"message":"\\u0000\\u202e<script>","title":"\\ud800"}', { message: "\u0000\u202e<script>" }],
  [JSON_TYPE, '{"message":"a\\r\\nX-Header: 1","extras":{"__proto__":{"a":1}}}', { message: "a\r\nX-Header: 1" }],
  [JSON_TYPE, `{"message":"${"ü".repeat(200_000)}"}`, { message: "ü".repeat(200_000) }],
  [JSON_TYPE, '{"message":" ","priority":-9007199254740991}', { message: " ", priority: -9007199254740991 }],
  [FORM, "message=%F0%9F%92%A9&message=second&extras=x", { message: "💩" }],
  [FORM, "message=%zz%ff&priority=%2B3", { message: "%zz\xff", priority: 3 }],
  [PARTS, part("message", "in parts"), { message: "in parts" }],
  [{ "Content-Type": "text/plain" }, "message=plain", { message: "plain" }],
];

test("hostile messages: each is refused in Gotify's form or kept as it is, and nothing is lost", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application("A");
  const client = await it.client();
  const stream = await it.stream(t, client.token);
  for (const [at, [headers, body, text]] of REFUSED.entries()) {
    const reply = await it.request<GotifyFault>("POST", `/message?token=${token}`, headers, body);
    assert.deepEqual(
      [at, reply.status, reply.body.error, reply.body.errorCode],
      [at, 400, "Bad Request", 400],
      reply.text,
    );
    assert.ok(reply.body.errorDescription.startsWith(text), `${at}: ${reply.text}`);
  }
  const kept: GotifyMessage[] = [];
  for (const [headers, body, expected] of ACCEPTED) {
    const sent = await it.ok<GotifyMessage>("POST", `/message?token=${token}`, headers, body);
    assert.deepEqual({ ...sent, ...expected }, sent);
    kept.unshift(sent);
  }
  const big = await it.request<GotifyFault>("POST", "/message", key(token), { message: "x".repeat(1_100_000) });
  assert.deepEqual([big.status, big.body.errorCode], [413, 413]);
  assert.deepEqual((await it.list(client.token, "?limit=200")).messages, kept);
  await eventually("all on the stream", () => stream.messages.length === kept.length);
  assert.deepEqual(stream.messages.toReversed(), kept);
  t.diagnostic(`${REFUSED.length + 1} refused, ${ACCEPTED.length} accepted`);
});

test("a page of long messages is cut, and the next one goes on after it", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.application("A");
  const client = await it.client();
  const sent: number[] = [];
  for (let n = 0; n < 5; n++) sent.unshift((await it.send(token, { message: "x".repeat(300_000) })).id);
  const seen: number[] = [];
  for (let since = 0; ; ) {
    const page = await it.list(client.token, `?limit=100&since=${since}`);
    seen.push(...page.messages.map(({ id }) => id));
    since = page.paging.since;
    if (since === 0) break;
    assert.ok(page.paging.next);
  }
  assert.deepEqual(seen, sent);
});

test("queries, ids and paths", async (t) => {
  const it = await GotifyTest.start(t);
  const client = await it.client();
  const refusals = [
    ["/message?limit=0", 400, "Field 'limit' must be more or equal to 1"],
    ["/message?limit=201", 400, "Field 'limit' must be less or equal to 200"],
    ["/message?limit=x", 400, "strconv.ParseUint"],
    ["/message?since=-1", 400, "strconv.ParseUint"],
    ["/application/x/message", 400, "invalid id"],
    ["/application/-1/message", 400, "invalid id"],
    ["/application/99999999999999999999/message", 400, "invalid id"],
    ["/application/7/message", 404, "application does not exist"],
    ["/nothing", 404, "page not found"],
    ["/api/v1/notifications", 404, "page not found"],
    ["/image/..%2f..%2fetc%2fpasswd", 404, "page not found"],
    ["/user", 403, "you are not allowed to access this api"],
    ["/user/1", 403, "you are not allowed to access this api"],
  ] as const;
  for (const [path, status, text] of refusals) {
    const reply = await it.request<GotifyFault>("GET", path, key(client.token));
    assert.deepEqual([path, reply.status, reply.body.errorCode], [path, status, status], reply.text);
    assert.ok(reply.body.errorDescription.startsWith(text), reply.text);
  }
  for (const [method, path] of [
    ["DELETE", "/message/x"],
    ["DELETE", "/application/1"],
    ["PUT", "/application/1"],
  ] as const)
    assert.equal((await it.request(method, path, key(client.token), { name: "n" })).status, 400);
  assert.deepEqual(await it.ok("GET", "/plugin", key(client.token)), []);
  assert.deepEqual(await it.ok("GET", "/health"), { health: "green", database: "green" });
});

test("images are checked by their content", async (t) => {
  const it = await GotifyTest.start(t);
  const app = await it.application();
  const client = await it.client();
  const upload = async (bytes: string, name: string, field = "file") => {
    const form = new FormData();
    form.append(field, new Blob([Buffer.from(bytes, "latin1")]), name);
    const url = `${it.base}/application/${app.id}/image`;
    const reply = await fetch(url, { method: "POST", body: form, headers: key(client.token) });
    return { status: reply.status, body: (await reply.json()) as GotifyFault & Application };
  };
  for (const [bytes, name, text] of [
    ["<svg onload=alert(1)>", "a.png", "file must be an image"],
    ["<html>", "a.gif", "file must be an image"],
    ["", "a.png", "file must be an image"],
    ["GIF89a", "a.html", "invalid file extension"],
    ["\x89PNG\r\n\x1a\n", "a", "invalid file extension"],
    [`GIF89a${"x".repeat(1_048_577)}`, "a.gif", "file must be an image"],
  ] as const) {
    const { status, body } = await upload(bytes, name);
    assert.deepEqual([name, status, body.errorDescription], [name, 400, text]);
  }
  assert.equal(
    (await upload("GIF89a", "a.gif", "image")).body.errorDescription,
    "file with key 'file' must be present",
  );
  const first = await upload("GIF89a<script>", "../../a.GIF");
  assert.match(first.body.image, /^image\/[\w-]{24}\.gif$/);
  const shown = await fetch(`${it.base}/${first.body.image}`);
  const { headers } = shown;
  assert.deepEqual(
    [headers.get("content-type"), headers.get("x-content-type-options"), headers.get("content-security-policy")],
    ["image/gif", "nosniff", "sandbox"],
  );
  const second = await upload("\xff\xd8\xff\xe0", "b.jpeg");
  assert.match(second.body.image, /\.jpg$/);
  assert.equal((await fetch(`${it.base}/${first.body.image}`)).status, 404);
  const removed = await it.ok<Application>("DELETE", `/application/${app.id}/image`, key(client.token));
  assert.equal(removed.image, "static/defaultapp.png");
  assert.equal((await fetch(`${it.base}/${second.body.image}`)).status, 404);
});

test("an account with a second factor logs in with a service token, not with its password", async (t) => {
  const it = await GotifyTest.start(t);
  const before = await it.client();
  const { token: login } = await protect(it.prism, "uma");
  assert.equal((await it.request("GET", "/current/user", basic("uma"))).status, 401);
  assert.equal((await it.request("POST", "/client", basic("uma"), { name: "x" })).status, 401);
  assert.equal((await it.request("GET", "/current/user", key(before.token))).status, 200);
  const body = { name: "phone", scopes: ["notifications:own", "account:own"] };
  const made = await it.prism.post<{ token: string }>("/api/v1/users/me/tokens", body, { token: login });
  await it.ok("GET", "/current/user", basic("uma", made.body.token));
  const client = await it.ok<{ token: string }>("POST", "/client", basic("uma", made.body.token), { name: "phone" });
  assert.equal((await it.request("GET", "/message", key(client.token))).status, 200);
});

test("wrong passwords wait as wrong logins do", async (t) => {
  const it = await GotifyTest.start(t);
  const statuses: number[] = [];
  while (!statuses.includes(429) && statuses.length < 100)
    statuses.push((await it.request("GET", "/current/user", basic("uma", `guess number ${statuses.length}`))).status);
  assert.equal(statuses.at(-1), 429, statuses.join());
});

test("an account has a limited number of clients and applications", async (t) => {
  const it = await GotifyTest.start(t);
  const { token } = await it.client();
  const statuses: number[] = [];
  for (let n = 0; n < 250; n++) statuses.push((await it.request("POST", "/client", key(token), { name: "c" })).status);
  assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.at(-1)], [249, 400]);
});

test("S12: all applications of a user together send 60 messages a second, 600 at once", async (t) => {
  const clock = new FakeClock();
  const it = await GotifyTest.start(t, { clock });
  const [first, second] = [await it.application(), await it.application("Other")];
  await makeAccount(it.prism, { username: "eve" });
  const eves = await it.application("Eve's", {}, "eve");
  const send = async (token: string, body: object) => (await it.request("POST", "/message", key(token), body)).status;
  const attempts = await Promise.all(Array.from({ length: 600 }, () => send(first.token, {})));
  assert.deepEqual(new Set(attempts), new Set([400]));
  assert.equal(await send(second.token, { message: "m" }), 429);
  assert.equal(await send(eves.token, { message: "m" }), 200, "another user's");
  clock.advance(1000);
  assert.equal(await send(second.token, { message: "m" }), 200);
});

import assert from "node:assert/strict";
import { createHmac, createPublicKey, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { AUDIENCE, type Claims, ISSUER, IssuerKey, KeyServer } from "./support/issuer.ts";

const ME = "/api/v1/users/me";
const DAY_MS = 86_400_000;

interface Me {
  readonly id: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly externalId: string | null;
  readonly name: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly error?: { readonly code: string };
}

async function outcome(prism: TestPrism, token: string): Promise<string> {
  const { status, body } = await prism.get<Me>(ME, { token });
  return status === 200 ? "served" : `${status} ${body.error?.code}`;
}

/** Once the keys are there, or what became of the account is known. */
function settled(prism: TestPrism, token: string): Promise<string> {
  return eventually("an answer that is not 503", async () => {
    const found = await outcome(prism, token);
    return found === "503 OVERLOADED" ? null : found;
  });
}

/** Epoch seconds. */
const inSeconds = (clock: FakeClock, seconds: number): number => Math.floor(clock.now() / 1000) + seconds;

interface World {
  readonly prism: TestPrism;
  readonly clock: FakeClock;
  readonly issuer: KeyServer;
  readonly key: IssuerKey;
  /** A good token of `ann`, with other claims. */
  token(claims?: Claims, header?: Claims): Promise<string>;
}

async function world(t: TestContext, settings: Readonly<Record<string, string>> = {}): Promise<World> {
  const clock = new FakeClock();
  const key = await IssuerKey.make("k1", "ES256");
  const issuer = await KeyServer.start(t, key);
  const prism = await startPrism(t, { clock, settings: { ...issuer.settings, ...settings } });
  await prism.post("/api/v1/users/import", [{ externalId: "ann", username: "ann", roles: ["Viewer"] }]);
  const token = (claims: Claims = {}, header: Claims = {}) =>
    key.token({ sub: "ann", exp: inSeconds(clock, 600), ...claims }, header);
  return { prism, clock, issuer, key, token };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

test("tokens of the configured issuer count as their user's, with each algorithm that is allowed", async (t) => {
  const clock = new FakeClock();
  const keys = await Promise.all(
    ["RS256", "ES256", "EdDSA", "PS256", "ES384", "RS512"].map((algorithm) =>
      IssuerKey.make(`k-${algorithm}`, algorithm),
    ),
  );
  const issuer = await KeyServer.start(t, ...keys);
  const settings = { ...issuer.settings, "auth.trusted.algorithms": "RS256,ES256,EdDSA,PS256" };
  const prism = await startPrism(t, { clock, settings });
  await prism.post("/api/v1/users/import", [{ externalId: "ann", username: "ann", roles: ["Viewer"] }]);
  for (const key of keys) {
    const claims = { sub: "ann", exp: inSeconds(clock, 600), roles: ["Admin"], permissions: ["users:manage"] };
    const token = await key.token(claims);
    const isAllowed = !["ES384", "RS512"].includes(key.algorithm);
    assert.equal(await settled(prism, token), isAllowed ? "served" : "401 TOKEN_INVALID", key.algorithm);
    if (!isAllowed) continue;
    const { body } = await prism.get<Me>(ME, { token });
    assert.deepEqual([body.username, body.roles], ["ann", ["Viewer"]]);
    assert.equal((await prism.get("/api/v1/users", { token })).status, 403, "claims give no rights");
  }
  assert.equal(await outcome(prism, prism.adminToken), "served", "Prism's own tokens go on counting");
});

test("what is not a good token of the issuer for this audience and this moment is refused", async (t) => {
  const { prism, clock, issuer, key, token } = await world(t);
  const other = await IssuerKey.make("k1", "ES256");
  const rsa = await IssuerKey.make("rsa", "RS256");
  issuer.publish(key, rsa);
  const good = await token();
  assert.equal(await settled(prism, good), "served");
  const [head = "", body = "", signature = ""] = good.split(".");
  const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  const pem = createPublicKey({ key: rsa.jwk as JsonWebKey, format: "jwk" }).export({ type: "spki", format: "pem" });
  const hs = (header: Claims, secret: string | Buffer): string => {
    const input = `${encode(header)}.${body}`;
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  };
  const now = (seconds: number): number => inSeconds(clock, seconds);
  const access = prism.parts.base.config.secrets.access;
  for (const [name, text, expected = "401 TOKEN_INVALID"] of [
    ["as signed", good, "served"],
    ["for several audiences", await token({ aud: ["other", AUDIENCE] }), "served"],
    ["of an access token's type", await token({}, { typ: "at+JWT" }), "served"],
    ["ended less than the clock may be off", await token({ exp: now(-20) }), "served"],
    ["ended", await token({ exp: now(-40) }), "401 TOKEN_EXPIRED"],
    ["without an end", await token({ exp: undefined })],
    ["with an end that is no number", await token({ exp: String(now(600)) as unknown as number })],
    ["not yet begun", await token({ nbf: now(60) })],
    ["issued in the future", await token({ iat: now(60) })],
    ["of another issuer", await token({ iss: `${ISSUER}/other` })],
    ["of no issuer", await token({ iss: undefined })],
    ["of Prism's name", await token({ iss: "prism" })],
    ["for another audience", await token({ aud: "other" })],
    ["for no audience", await token({ aud: undefined })],
    ["without a user", await token({ sub: undefined })],
    ["of a user who is an object", await token({ sub: { id: "ann" } })],
    ["of an unknown user", await token({ sub: "bob" })],
    ["of a username, which is not what the claim means", await token({ sub: "dev" })],
    ["of a logout", await token({}, { typ: "logout+jwt" })],
    ["with a type that is no text", await token({}, { typ: 5 })],
    ["signed by another key of the same name", await other.token({ sub: "ann", exp: now(600) })],
    [
      "signed by a key that the header brings along",
      await other.token({ sub: "ann", exp: now(600) }, { jwk: other.jwk }),
    ],
    ["of a key that is for another algorithm", await token({}, { kid: "rsa" })],
    ["with an unknown extension", `${encode({ alg: "ES256", kid: "k1", crit: ["x"], x: 1 })}.${body}.${signature}`],
    ["with a kid that is no text", `${encode({ alg: "ES256", kid: { a: 1 } })}.${body}.${signature}`],
    ["with a path as kid", `${encode({ alg: "ES256", kid: "../../dev/null" })}.${body}.${signature}`],
    ["not signed", `${encode({ alg: "none", kid: "k1" })}.${body}.`],
    ["not signed, with the signature", `${encode({ alg: "none", kid: "k1" })}.${body}.${signature}`],
    ["signed with the public key as secret", hs({ alg: "HS256", kid: "rsa" }, pem as string)],
    ["signed with Prism's secret", hs({ alg: "HS256" }, access)],
    ["signed with nothing", hs({ alg: "HS256", kid: "rsa" }, "")],
    ["changed", `${head}.${encode({ iss: ISSUER, aud: AUDIENCE, sub: "ann", exp: now(900) })}.${signature}`],
    ["with another signature", `${head}.${body}.${flipped}`],
    ["with a signature written otherwise", `${good}=`],
    ["without a signature", `${head}.${body}.`],
    ["in two parts", `${head}.${body}`],
    ["in no form", "a.b.c"],
  ] as const)
    assert.equal(await outcome(prism, text), expected, name);
});

test("a key that appears is fetched when a token names it, at most twice a minute; one that goes counts no more", async (t) => {
  const { prism, clock, issuer, key, token } = await world(t);
  const old = await token();
  assert.equal(await settled(prism, old), "served");
  const next = await IssuerKey.make("k2", "RS256");
  issuer.publish(next);
  const newToken = await next.token({ sub: "ann", exp: inSeconds(clock, 6000) });
  assert.equal(await outcome(prism, newToken), "401 TOKEN_INVALID", "the issuer has answered just now");
  assert.equal(issuer.requests, 1);
  clock.advance(30_000);
  assert.equal(await outcome(prism, newToken), "503 OVERLOADED");
  assert.equal(await settled(prism, newToken), "served");
  assert.equal(await outcome(prism, old), "401 TOKEN_INVALID", "its key is gone, though it was verified before");
  for (let n = 0; n < 20; n++) {
    const stranger = await key.token({ sub: "ann", exp: inSeconds(clock, 600) }, { kid: `unknown-${n}` });
    assert.equal(await outcome(prism, stranger), "401 TOKEN_INVALID");
  }
  assert.equal(issuer.requests, 2, "unknown keys do not make requests of their own");
});

test("while the issuer is away its keys count for a day, and a token of an unknown key is answered 503", async (t) => {
  const clock = new FakeClock();
  const key = await IssuerKey.make("k1", "EdDSA");
  const issuer = await KeyServer.start(t, key);
  issuer.status = 500;
  const prism = await startPrism(t, { clock, settings: issuer.settings });
  await prism.post("/api/v1/users/import", [{ externalId: "ann" }]);
  const token = await key.token({ sub: "ann", exp: inSeconds(clock, 10 * 86_400) });
  const reply = await prism.get(ME, { token });
  assert.deepEqual([reply.status, reply.headers.get("retry-after")], [503, "1"]);
  await eventually("a request that failed", () => issuer.requests === 1);
  assert.equal(await outcome(prism, token), "503 OVERLOADED");
  issuer.status = 200;
  clock.advance(30_000);
  assert.equal(await settled(prism, token), "served");
  issuer.status = 500;
  clock.advance(DAY_MS - 1000);
  const unknown = await key.token({ sub: "ann", exp: inSeconds(clock, 600) }, { kid: "k2" });
  const before = issuer.requests;
  assert.equal(await outcome(prism, unknown), "503 OVERLOADED");
  await eventually("a request that failed", () => issuer.requests === before + 1);
  assert.equal(await outcome(prism, token), "served");
  clock.advance(2000);
  assert.equal(await outcome(prism, token), "503 OVERLOADED");
});

test("an answer that is too large, redirects or is not a key set is refused, and its keys must be good", async (t) => {
  const small = await IssuerKey.make("k1", "ES256");
  const { n: _n, ...nothing } = { ...small.jwk, kty: "oct", k: Buffer.from("secret").toString("base64url") };
  for (const [name, spoil] of Object.entries<(issuer: KeyServer) => void>({
    "too large": (issuer) => {
      issuer.text = `{"keys":${JSON.stringify(issuer.keys)},"x":"${"x".repeat(300_000)}"}`;
    },
    "a redirect": (issuer) => {
      issuer.status = 302;
      issuer.headers = { Location: issuer.url };
    },
    "no JSON": (issuer) => {
      issuer.text = "<html>";
    },
    "no list": (issuer) => {
      issuer.text = '{"keys":{}}';
    },
  })) {
    const issuer = await KeyServer.start(t, small);
    spoil(issuer);
    const prism = await startPrism(t, { settings: issuer.settings });
    await eventually(name, () => issuer.requests > 0);
    const token = await small.token({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 600 });
    for (let n = 0; n < 3; n++) assert.equal(await outcome(prism, token), "503 OVERLOADED", name);
    assert.equal(issuer.requests, 1, name);
  }
  const unusable = await KeyServer.start(t);
  unusable.keys = [nothing, { ...small.jwk, use: "enc" }, { ...small.jwk, alg: "ES384" }, { kid: "k1" }];
  const prism = await startPrism(t, { settings: unusable.settings });
  const token = await small.token({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 600 });
  assert.equal(await settled(prism, token), "401 TOKEN_INVALID");
});

test("a disabled user's token is refused at once, and live connections end with the account or with the token", async (t) => {
  const { prism, clock, token } = await world(t);
  const good = await token({ exp: inSeconds(clock, 600) });
  assert.equal(await settled(prism, good), "served");
  const open = async (bearer = good): Promise<{ code: Promise<number> }> => {
    const socket = new WebSocket(`${prism.wsUrl}/ws`, { headers: { Authorization: `Bearer ${bearer}` } });
    const code = new Promise<number>((resolve) => socket.once("close", resolve));
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return { code };
  };
  const first = await open();
  const [ann] = rowsOf<{ id: string }>(prism, "select id from users where externalId = 'ann'");
  await prism.patch(`/api/v1/users/${ann?.id}`, { status: "disabled" });
  assert.equal(await outcome(prism, good), "403 ACCOUNT_DISABLED");
  assert.equal(await first.code, 4401);
  await prism.patch(`/api/v1/users/${ann?.id}`, { status: "active" });
  const second = await open(await token({ exp: inSeconds(clock, 5) }));
  assert.equal((await prism.post("/api/v1/auth/logout", {}, { token: good })).status, 204);
  assert.equal(await outcome(prism, good), "served", "only its issuer ends the token");
  // The other program's clock may be 30 s behind, for requests and for connections.
  clock.advance(34_000);
  assert.equal((await open(await token({ exp: inSeconds(clock, -29) }))) instanceof Object, true);
  clock.advance(2000);
  assert.equal(await second.code, 4401);
  clock.advance(630_000);
  assert.equal(await outcome(prism, good), "401 TOKEN_EXPIRED");
});

test("tokens of a program that shares a secret count without issuer and audience, by any claim", async (t) => {
  const clock = new FakeClock();
  const secret = "a secret of the other program, long enough";
  const settings = { "auth.trusted.secret": secret, "auth.trusted.userClaim": "id", "rateLimit.enabled": "false" };
  const prism = await startPrism(t, { clock, settings });
  await prism.post("/api/v1/users/import", [{ externalId: "1", username: "one" }]);
  const sign = (claims: Claims, header: Claims = { alg: "HS256", typ: "JWT" }, key = secret): string => {
    const input = `${encode(header)}.${encode({ id: 1, exp: inSeconds(clock, 600), ...claims })}`;
    return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
  };
  const { kid } = JSON.parse(Buffer.from(prism.adminToken.split(".")[0] ?? "", "base64url").toString()) as Claims;
  const [dev] = rowsOf<{ id: string }>(prism, "select id from users where username = 'dev'");
  for (const [name, token, expected] of [
    ["a number", sign({}), "served"],
    ["a text", sign({ id: "1" }), "served"],
    ["an issuer that is not configured", sign({ iss: "x" }), "401 TOKEN_INVALID"],
    ["an audience that is not configured", sign({ aud: "x" }), "401 TOKEN_INVALID"],
    ["a fraction", sign({ id: 1.5 }), "401 TOKEN_INVALID"],
    ["another secret", sign({}, undefined, "another secret"), "401 TOKEN_INVALID"],
    ["another algorithm", sign({}, { alg: "HS512" }), "401 TOKEN_INVALID"],
    [
      "Prism's claims and key id",
      sign(
        { iss: "prism", aud: "prism", sub: dev?.id, jti: "x", iat: inSeconds(clock, 0) },
        { alg: "HS256", kid: String(kid) },
      ),
      "401 TOKEN_INVALID",
    ],
    ["Prism's own", prism.adminToken, "served"],
  ] as const)
    assert.equal(await outcome(prism, token), expected, name);
});

test("with provisioning the first token of a user makes an account with the configured roles and no more", async (t) => {
  const { prism, token } = await world(t, { "auth.trusted.provision": "true", "auth.trusted.roles": "Viewer" });
  assert.equal(await settled(prism, await token()), "served");
  const bob = await token({
    sub: "idp|bob",
    name: "Bob",
    email: "bob@example.org",
    email_verified: true,
    roles: ["Admin"],
  });
  assert.equal(await outcome(prism, bob), "served", "the first request waits for the account");
  const { body } = await prism.get<Me>(ME, { token: bob });
  assert.deepEqual(
    [body.externalId, body.name, body.email, body.roles],
    ["idp|bob", "Bob", "bob@example.org", ["Viewer"]],
  );
  // Another person's address, and one that was not confirmed, are left out.
  for (const claims of [
    { sub: "eve", email: "bob@example.org", email_verified: true },
    { sub: "fay", email: "fay@example.org" },
  ]) {
    const eve = await token(claims);
    assert.equal(await settled(prism, eve), "served");
    assert.deepEqual((await prism.get<Me>(ME, { token: eve })).body.email, null);
  }
  const made = rowsOf<{ metadata: string; actor: string }>(
    prism,
    "select metadata, actor from audit_log where action = 'user.register' and metadata like '%issuer%'",
  );
  assert.equal(made.length, 3);
  assert.doesNotMatch(JSON.stringify(made), /bob|eve/);
  const before = rowsOf(prism, "select id from users").length;
  for (const sub of ["me", "a\0b", "x".repeat(129)])
    assert.equal(await outcome(prism, await token({ sub })), "401 TOKEN_INVALID");
  assert.equal(rowsOf(prism, "select id from users").length, before);
});

test("the first use of a user's token succeeds: of a POST with a body, a WebSocket, a stream, Socket.IO and a renewal", async (t) => {
  const { prism, token } = await world(t, { "auth.trusted.provision": "true", "auth.trusted.roles": "Operator" });
  assert.equal(await settled(prism, await token()), "served");
  let users = 0;
  const first = (): Promise<string> => token({ sub: `new-${++users}` });
  const sent = { recipients: ["me"], title: "t", message: "m".repeat(3000) };
  const all = await first();
  const replies = await Promise.all([1, 2, 3].map(() => prism.post("/api/v1/notifications", sent, { token: all })));
  assert.deepEqual(valuesOf(replies, "status"), [201, 201, 201]);

  const socket = new WebSocket(`${prism.wsUrl}/ws`, ["prism.v1"], {
    headers: { Authorization: `Bearer ${await first()}` },
  });
  prism.onClose.push(() => socket.terminate());
  await once(socket, "open");
  assert.equal(socket.protocol, "prism.v1");
  const renewal = await token({ sub: `new-${users}`, jti: "second" });
  const seen: { readonly op: string }[] = [];
  socket.on("message", (data) => seen.push(JSON.parse(String(data)) as { op: string }));
  socket.send(JSON.stringify({ op: "auth", token: renewal, id: "1" }));
  const isAnswer = ({ op }: { readonly op: string }) => op !== "welcome" && op !== "hello";
  await eventually("the socket is answered", () => seen.some(isAnswer));
  assert.equal(seen.find(isAnswer)?.op, "authenticated", JSON.stringify(seen));

  for (const transports of [["websocket"], ["polling"]]) {
    const client = io(prism.url, { forceNew: true, transports, auth: { token: await first() } });
    prism.onClose.push(() => client.disconnect());
    const refusals: unknown[] = [];
    client.on("connect_error", (error) => refusals.push(error));
    await eventually("it is connected", () => client.connected);
    assert.deepEqual(refusals, []);
  }
  const stream = await fetch(`${prism.url}/realtime/default/sse?token=${await first()}`, {
    signal: AbortSignal.timeout(30_000),
  });
  assert.equal(stream.status, 200);
  await stream.body?.cancel();
  assert.equal(rowsOf(prism, "select id from users where externalId like 'new-%'").length, users);
});

test("tokens are verified by jose once, refusals too, and an address pays for each check", async (t) => {
  const { prism, token } = await world(t);
  assert.equal(await settled(prism, await token()), "served");
  const bad = `${(await token()).slice(0, -8)}AAAAAAAA`;
  const { work } = prism.parts.core;
  const charged: number[] = [];
  const charge = work.charge.bind(work);
  work.charge = (account, done, isElsewhere) => {
    if (account?.all === "unknown" && done.rows !== undefined) charged.push(done.rows);
    charge(account, done, isElsewhere);
  };
  const good = await token({ jti: "another" });
  for (const [text, expected] of [
    [bad, "401 TOKEN_INVALID"],
    [good, "served"],
  ] as const) {
    charged.length = 0;
    for (let n = 0; n < 3; n++) assert.equal(await outcome(prism, text), expected);
    assert.equal(charged.length, 1, expected);
  }
  let n = 0;
  const later = async () => token({ jti: `later-${n++}` });
  charged.length = 0;
  await fetch(`${prism.url}/gotify/current/user`, { headers: { "X-Gotify-Key": await later() } });
  assert.equal(charged.length, 1, "Gotify's API");
  await fetch(`${prism.url}/ntfy/v1/account`, { headers: { Authorization: `Bearer ${await later()}` } });
  assert.equal(charged.length, 2, "ntfy's API");
  const client = io(prism.url, { forceNew: true, transports: ["websocket"], auth: { token: await later() } });
  prism.onClose.push(() => client.disconnect());
  await eventually("it is connected", () => client.connected);
  assert.equal(charged.length, 3, "a message of Socket.IO");
  const socket = new WebSocket(`${prism.wsUrl}/ws`, ["prism.v1"], { headers: { Authorization: `Bearer ${good}` } });
  prism.onClose.push(() => socket.terminate());
  await once(socket, "open");
  socket.send(JSON.stringify({ op: "auth", token: await later(), id: "1" }));
  await eventually("a new token on a connection", () => charged.length === 4);
  for (let i = 0; i < 5; i++) work.charge(work.ofAddress("127.0.0.1"), { steps: 8_000_000 });
  const texts: string[] = [];
  socket.on("message", (data) => texts.push(String(data)));
  socket.send(JSON.stringify({ op: "auth", token: await later(), id: "2" }));
  await eventually("a refusal", () => texts.some((text) => text.includes("WORK_LIMITED")));
  const source = readFileSync(
    join(import.meta.dirname, "../../../../src/features/access/authenticate/issuer-tokens.ts"),
    "utf8",
  );
  assert.match(source, /compactVerify\(token, key, \{ algorithms: \[algorithm\] \}\)/);
  assert.doesNotMatch(source, /createHmac|timingSafeEqual|[^t]verify\(/);
});

test("an account with missing roles is not created, and the issuer's next tokens do not retry at once", async (t) => {
  const { prism, token } = await world(t, { "auth.trusted.provision": "true", "auth.trusted.roles": "Nope" });
  assert.equal(await settled(prism, await token()), "served");
  const bob = await token({ sub: "bob" });
  assert.equal(await settled(prism, bob), "401 TOKEN_INVALID");
  assert.equal(await outcome(prism, bob), "401 TOKEN_INVALID");
});

test("a mail address means an account only where the issuer has confirmed it", async (t) => {
  const { prism, token } = await world(t, { "auth.trusted.userField": "email", "auth.trusted.userClaim": "email" });
  await prism.post("/api/v1/users/import", [{ email: "mia@example.org", roles: ["Viewer"] }]);
  const email = "Mia@Example.org";
  assert.equal(await settled(prism, await token({ email, email_verified: true })), "served");
  for (const claims of [{ email }, { email, email_verified: false }, { email, email_verified: "true" }])
    assert.equal(await outcome(prism, await token(claims)), "401 TOKEN_INVALID");
});

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import test from "node:test";
import { AccessTokens } from "../../../../src/features/access/authenticate/access-tokens.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";

type Json = Readonly<Record<string, unknown>>;
interface Parts {
  readonly header: Json;
  readonly claims: Json;
}

const ME = "/api/v1/users/me";
const base64 = (data: string | Uint8Array): string => Buffer.from(data).toString("base64url");
const encoded = ({ header, claims }: Parts): string =>
  `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims))}`;
const decoded = (part: string): Json => JSON.parse(Buffer.from(part, "base64url").toString()) as Json;

/** The token's parts with other members; `undefined` removes one. */
function changed(parts: Parts, header: Json = {}, claims: Json = {}): Parts {
  return { header: { ...parts.header, ...header }, claims: { ...parts.claims, ...claims } };
}

/** A token forged by hand: no library refuses to make it. */
function signed(parts: Parts, secret: string, hash = "sha256"): string {
  const input = encoded(parts);
  return `${input}.${createHmac(hash, secret).update(input).digest("base64url")}`;
}

async function codeOf(prism: TestPrism, token: string): Promise<string> {
  const { status, body, headers } = await prism.get<{ error?: { code: string } }>(ME, { token });
  if (status === 200) return "served";
  assert.equal(status, 401);
  assert.equal(headers.get("www-authenticate"), 'Bearer realm="prism", error="invalid_token"');
  return body.error?.code ?? "";
}

test("S0-06, S3-09, S4-33: an access token counts when Prism signed it for this audience and it has not ended", async (t) => {
  keepsPromise(t, ["S0-06", "S3-09"]);
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { config } = prism.parts.base;
  const secret = config.secrets.access;
  const [header = "", claims = "", signature = ""] = prism.adminToken.split(".");
  const good: Parts = { header: decoded(header), claims: decoded(claims) };
  const now = Math.floor(clock.now() / 1000);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" }) as string;
  const input = encoded(changed(good, { alg: "RS256" }));
  // 43 characters hold 258 bits, two more than the signature has: the last one's lowest say
  // nothing.
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const otherBits = signature.slice(0, -1) + BASE64[BASE64.indexOf(signature.slice(-1)) ^ 1];
  const flipped = `${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  const token = (header: Json, claims: Json = {}): string => signed(changed(good, header, claims), secret);

  await t.test("what Prism's own token says", () => {
    assert.deepEqual(
      { ...good, header: { ...good.header, kid: typeof good.header["kid"] } },
      {
        header: { alg: "HS256", typ: "JWT", kid: "string" },
        claims: {
          iss: "prism",
          aud: config.auth.audience,
          sub: good.claims["sub"],
          sid: good.claims["sid"],
          jti: good.claims["jti"],
          iat: now,
          exp: Math.floor((clock.now() + config.auth.accessExpires) / 1000),
        },
      },
    );
  });

  for (const [name, text, code] of [
    ["as issued", prism.adminToken, "served"],
    ["the same, signed again", token({}), "served"],
    ["our audience among others", token({}, { aud: ["other", config.auth.audience] }), "served"],
    ["issued before the clock was set back by an hour", token({}, { iat: now + 3600, exp: now + 4500 }), "served"],
    ["ended now, as its live connections do", token({}, { exp: now }), "TOKEN_EXPIRED"],
    ["ended long ago", token({}, { exp: 1 }), "TOKEN_EXPIRED"],
    ["issued more than an hour ahead", token({}, { iat: now + 3601, exp: now + 4501 }), "TOKEN_INVALID"],
    ["not valid before a time that is text", token({}, { nbf: "2000-01-01" }), "TOKEN_INVALID"],
    ["valid since yesterday", token({}, { nbf: now - 86_400 }), "served"],
    ["other audiences", token({}, { aud: ["other", "more"] }), "TOKEN_INVALID"],
    ["an audience that holds ours", token({}, { aud: `${config.auth.audience} other` }), "TOKEN_INVALID"],
    ["an audience that is no text", token({}, { aud: { [config.auth.audience]: true } }), "TOKEN_INVALID"],
    ["an issuer in a list", token({}, { iss: ["prism"] }), "TOKEN_INVALID"],
    ["no subject but null", token({}, { sub: null }), "TOKEN_INVALID"],
    ["not valid before 10 s from now", token({}, { nbf: now + 10 }), "TOKEN_INVALID"],
    ["alg none, unsigned", `${encoded(changed(good, { alg: "none" }))}.`, "TOKEN_INVALID"],
    ["alg None, unsigned", `${encoded(changed(good, { alg: "None" }))}.`, "TOKEN_INVALID"],
    ["alg none, signed", token({ alg: "none" }), "TOKEN_INVALID"],
    ["no alg", token({ alg: undefined }), "TOKEN_INVALID"],
    ["alg HS512", signed(changed(good, { alg: "HS512" }), secret, "sha512"), "TOKEN_INVALID"],
    ["alg HS384", signed(changed(good, { alg: "HS384" }), secret, "sha384"), "TOKEN_INVALID"],
    ["alg RS256 over an HMAC", token({ alg: "RS256" }), "TOKEN_INVALID"],
    [
      "alg RS256 with a key pair",
      `${input}.${base64(sign("sha256", Buffer.from(input), rsa.privateKey))}`,
      "TOKEN_INVALID",
    ],
    ["a public key of its own as the HMAC secret", signed(changed(good, { jwk: {} }), publicPem), "TOKEN_INVALID"],
    ["a key in the header", signed(changed(good, { jwk: { kty: "oct", k: base64("x") } }), "x"), "TOKEN_INVALID"],
    ["another secret", signed(good, "x".repeat(64)), "TOKEN_INVALID"],
    ["no secret", signed(good, ""), "TOKEN_INVALID"],
    ["the encryption key as the secret", signed(good, String(config.secrets.encryptionKey)), "TOKEN_INVALID"],
    ["another kid", token({ kid: "AAAAAAAA" }), "TOKEN_INVALID"],
    ["a path as kid", token({ kid: "../../dev/null" }), "TOKEN_INVALID"],
    ["no kid", token({ kid: undefined }), "TOKEN_INVALID"],
    ["a critical extension", token({ crit: ["x"], x: 1 }), "TOKEN_INVALID"],
    ["another issuer", token({}, { iss: "other" }), "TOKEN_INVALID"],
    ["no issuer", token({}, { iss: undefined }), "TOKEN_INVALID"],
    ["another audience", token({}, { aud: "other" }), "TOKEN_INVALID"],
    ["no audience", token({}, { aud: undefined }), "TOKEN_INVALID"],
    ["no subject", token({}, { sub: undefined }), "TOKEN_INVALID"],
    ["an unknown subject", token({}, { sub: "0198c0de-0000-7000-8000-000000000000" }), "TOKEN_INVALID"],
    ["a subject that is an object", token({}, { sub: { id: good.claims["sub"] } }), "TOKEN_INVALID"],
    ["another session", token({}, { sid: "0198c0de-0000-7000-8000-000000000000" }), "SESSION_REVOKED"],
    ["a session that is no text", token({}, { sid: 7 }), "TOKEN_INVALID"],
    ["a session that is null", token({}, { sid: null }), "TOKEN_INVALID"],
    ["no id", token({}, { jti: undefined }), "TOKEN_INVALID"],
    ["no end", token({}, { exp: undefined }), "TOKEN_INVALID"],
    ["an end that is text", token({}, { exp: "2100-01-01" }), "TOKEN_INVALID"],
    ["no time of issue", token({}, { iat: undefined }), "TOKEN_INVALID"],
    ["other claims under the signature", `${encoded(changed(good, {}, { sub: "x" }))}.${signature}`, "TOKEN_INVALID"],
    ["another header over the signature", `${encoded(changed(good, { typ: "x" }))}.${signature}`, "TOKEN_INVALID"],
    ["one character of the signature", `${header}.${claims}.${flipped}`, "TOKEN_INVALID"],
    ["other unused bits in the signature", `${header}.${claims}.${otherBits}`, "TOKEN_INVALID"],
    ["a signature with padding", `${prism.adminToken}=`, "TOKEN_INVALID"],
    ["the signature of another token", `${header}.${claims}.${token({}, { jti: "x" }).split(".")[2]}`, "TOKEN_INVALID"],
    [
      "the signature in hex",
      `${header}.${claims}.${Buffer.from(signature, "base64url").toString("hex")}`,
      "TOKEN_INVALID",
    ],
    ["half a signature", `${header}.${claims}.${signature.slice(0, 20)}`, "TOKEN_INVALID"],
    ["an empty signature", `${header}.${claims}.`, "TOKEN_INVALID"],
    ["two parts", `${header}.${claims}`, "TOKEN_INVALID"],
    ["one part", header, "TOKEN_INVALID"],
    ["four parts", `${prism.adminToken}.${signature}`, "TOKEN_INVALID"],
    ["five parts", `${header}.${claims}.${signature}.${claims}.${signature}`, "TOKEN_INVALID"],
    ["dots alone", "..", "TOKEN_INVALID"],
    ["a space inside", `${header}. ${claims}.${signature}`, "TOKEN_INVALID"],
    ["claims that are a list", `${header}.${base64("[]")}.${signature}`, "TOKEN_INVALID"],
    ["claims that are no JSON", `${header}.${base64("{")}.${signature}`, "TOKEN_INVALID"],
    ["a user's id", String(good.claims["sub"]), "TOKEN_INVALID"],
    ["9 KiB", `${"a".repeat(9216)}.b.c`, "TOKEN_INVALID"],
  ] as const) {
    await t.test(`${name}: ${code}`, async () => assert.equal(await codeOf(prism, text), code));
  }
});

test("tokens of a secret of before are good until they end, and it signs no new ones", async (t) => {
  const [old, next] = ["o".repeat(40), "n".repeat(40)];
  const prism = await startPrism(t, { settings: { "auth.accessSecret": next, "auth.previousAccessSecrets": old } });
  const { config, clock } = prism.parts.base;
  const { id } = await makeUser(prism, "ann");
  const issuedBy = (secret: string) =>
    new AccessTokens({ secret, audience: config.auth.audience, expiresMs: 60_000, clock }).issue(id);
  const kidOf = (token: string) => decoded(token.split(".")[0] ?? "")["kid"];
  const [byOld, byNext, byOther] = await Promise.all([old, next, "x".repeat(40)].map(issuedBy));
  assert.equal(await codeOf(prism, byOld?.token ?? ""), "served");
  assert.equal(await codeOf(prism, byNext?.token ?? ""), "served");
  assert.equal(await codeOf(prism, byOther?.token ?? ""), "TOKEN_INVALID");
  assert.equal(kidOf(prism.adminToken), kidOf(byNext?.token ?? ""));
  assert.notEqual(kidOf(byOld?.token ?? ""), kidOf(byNext?.token ?? ""));
  const [header = "", claims = ""] = (byOld?.token ?? "").split(".");
  const parts = { header: { ...decoded(header), kid: kidOf(prism.adminToken) }, claims: decoded(claims) };
  assert.equal(await codeOf(prism, signed(parts, old)), "TOKEN_INVALID", "each secret under its own name only");
});

test("an access token ends with its time, also where it was verified before", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { token } = await makeUser(prism, "ann");
  assert.equal(await codeOf(prism, token), "served");
  clock.advance(prism.parts.base.config.auth.accessExpires - 1000);
  assert.equal(await codeOf(prism, token), "served");
  clock.advance(60_000);
  assert.equal(await codeOf(prism, token), "TOKEN_EXPIRED");
});

test("S2-20: an account that is disabled or removed is refused from the next request on, with a token that is still good", async (t) => {
  keepsPromise(t, "S2-20");
  const prism = await startPrism(t);
  const { database: db } = prism.parts.base;
  const { rightsChanged } = prism;
  const change = async (id: string, values: { status?: "disabled" | "active"; deletedAt?: number }): Promise<void> => {
    await db.write((trx) => trx.updateTable("users").set(values).where("id", "=", id).execute());
    rightsChanged();
  };
  const { id, token } = await makeUser(prism, "ann");
  const outcome = async () => {
    const { status, body } = await prism.get<{ error?: { code: string } }>(ME, { token });
    return `${status} ${body.error?.code ?? ""}`.trim();
  };
  assert.equal(await outcome(), "200");
  await change(id, { status: "disabled" });
  assert.equal(await outcome(), "403 ACCOUNT_DISABLED");
  await change(id, { status: "active" });
  assert.equal(await outcome(), "200");
  await change(id, { deletedAt: 1 });
  assert.equal(await outcome(), "401 TOKEN_INVALID");
});

test("S2-21: permissions are those of the roles at this moment, never those of the token", async (t) => {
  const prism = await startPrism(t);
  const { database: db } = prism.parts.base;
  const { rightsChanged } = prism;
  const { id, token } = await makeUser(prism, "ann", ["Auditor", "User"]);
  const audit = async () => (await prism.get("/api/v1/audit", { token })).status;
  assert.equal(await audit(), 200);
  await db.write((trx) => trx.deleteFrom("user_roles").where("userId", "=", id).execute());
  rightsChanged();
  assert.equal(await audit(), 403);
  const { body } = await prism.get<{ error: { code: string; details: unknown[] } }>("/api/v1/audit", { token });
  assert.deepEqual(body.error.details, [
    { code: "UNAUTHORIZED_ROLE", message: "needs the permission audit:read", permission: "audit:read" },
  ]);
});

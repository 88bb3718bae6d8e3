import assert from "node:assert/strict";
import test from "node:test";
import { createToken } from "../../../../src/core/crypto/tokens.ts";
import type { TokenScope } from "../../../../src/core/permissions.ts";
import { createServiceToken, revokeServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";

async function makeToken(
  prism: TestPrism,
  userId: string,
  options: { scopes?: readonly TokenScope[]; expiresAt?: number } = {},
): Promise<{ id: string; token: string }> {
  const { database: db, audit, clock } = prism.parts.base;
  return db.write((trx) => createServiceToken({ audit, clock }, { userId, name: "t", ...options }, trx));
}

async function outcome(prism: TestPrism, token: string, path = "/api/v1/users/me"): Promise<string> {
  const { status, body } = await prism.get<{ error?: { code: string } }>(path, { token });
  return body.error ? `${status} ${body.error.code}` : String(status);
}

test("a service token acts as its user, within its scopes and the user's permissions", async (t) => {
  const prism = await startPrism(t);
  const user = await makeUser(prism, "ann", ["Auditor"]);
  await t.test("all of them", async () => {
    const { token } = await makeToken(prism, user.id);
    const { body } = await prism.get<{ id: string; permissions: string[] }>("/api/v1/users/me", { token });
    const own = await prism.get<{ permissions: string[] }>("/api/v1/users/me", { token: user.token });
    assert.equal(body.id, user.id);
    assert.deepEqual(body.permissions, own.body.permissions);
    assert.ok(body.permissions.includes("audit:read"));
  });
  await t.test("one of them", async () => {
    const { token } = await makeToken(prism, user.id, { scopes: ["rules:read", "account:own"] });
    const { body } = await prism.get<{ permissions: string[] }>("/api/v1/users/me", { token });
    assert.deepEqual(body.permissions, ["rules:read"]);
    assert.equal(await outcome(prism, token, "/api/v1/rules"), "200");
    assert.equal(await outcome(prism, token, "/api/v1/audit"), "403 UNAUTHORIZED_ROLE");
    assert.equal(await outcome(prism, token, "/api/v1/events"), "403 UNAUTHORIZED_ROLE");
  });
  await t.test("one that the user lacks: nothing", async () => {
    const { token } = await makeToken(prism, user.id, { scopes: ["rules:write", "account:own"] });
    const { body } = await prism.get<{ permissions: string[] }>("/api/v1/users/me", { token });
    assert.deepEqual(body.permissions, []);
    const made = await prism.post("/api/v1/rules", { name: "r", condition: "true", targetRoles: ["Admin"] }, { token });
    assert.equal(made.status, 403);
  });
  await t.test("a scope that is not a permission cannot be granted", async () => {
    const scopes = ["root" as TokenScope];
    await assert.rejects(makeToken(prism, user.id, { scopes }), { code: "SCOPE_MISSING" });
  });
});

test("a service token is stored hashed, and its last use is noted", async (t) => {
  const prism = await startPrism(t);
  const user = await makeUser(prism, "ann");
  const { id, token } = await makeToken(prism, user.id);
  await outcome(prism, token);
  const [row] = rowsOf<{ hash: string; prefix: string }>(prism, "select * from service_tokens where id = ?", id);
  assert.ok(row && !JSON.stringify(row).includes(token));
  assert.ok(token.startsWith(`prt_${row.prefix}`));
  await prism.restart();
  const [used] = rowsOf<{ lastUsedAt: number | null }>(prism, "select lastUsedAt from service_tokens where id = ?", id);
  assert.ok(used?.lastUsedAt, "written at the latest when the server stops");
});

test("a service token is refused when it is revoked, over, unknown, misspelt, or its user may not act", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { database: db, audit } = prism.parts.base;
  const { rightsChanged } = prism;
  const user = await makeUser(prism, "ann", ["Admin"]);
  await t.test("revoked: on the very next request", async () => {
    const { id, token } = await makeToken(prism, user.id);
    assert.equal(await outcome(prism, token), "200");
    await db.write((trx) => revokeServiceToken({ audit, clock }, id, trx));
    rightsChanged();
    assert.equal(await outcome(prism, token), "401 TOKEN_INVALID");
  });
  await t.test("over: at its time, though it was used a moment before", async () => {
    const { token } = await makeToken(prism, user.id, { expiresAt: clock.now() + 1000 });
    assert.equal(await outcome(prism, token), "200");
    clock.advance(1000);
    assert.equal(await outcome(prism, token), "401 TOKEN_EXPIRED");
  });
  await t.test("unknown, though well formed", async () => {
    assert.equal(await outcome(prism, createToken("prt").token), "401 TOKEN_INVALID");
  });
  const { token } = await makeToken(prism, user.id);
  for (const [name, text] of [
    ["one character changed", `${token.slice(0, 10)}${token[10] === "a" ? "b" : "a"}${token.slice(11)}`],
    ["in capitals", token.toUpperCase()],
    ["cut short", token.slice(0, -1)],
    ["with more behind it", `${token}0`],
    ["its prefix alone", token.slice(0, 12)],
    ["as an API key", token.replace("prt_", "prk_")],
    ["without its kind", token.slice(4)],
  ] as const) {
    await t.test(name, async () => assert.match(await outcome(prism, text), /^401 (TOKEN_INVALID|INVALID_API_KEY)$/));
  }
  await t.test("its user is disabled", async () => {
    assert.equal(await outcome(prism, token), "200");
    await db.write((trx) => trx.updateTable("users").set({ status: "disabled" }).where("id", "=", user.id).execute());
    rightsChanged();
    assert.equal(await outcome(prism, token), "403 ACCOUNT_DISABLED");
  });
});

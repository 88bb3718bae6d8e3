import assert from "node:assert/strict";
import { userInfo } from "node:os";
import test from "node:test";
import { actorOf, type Caller, currentCaller, runAs } from "../../src/core/caller.ts";

const nobody: Caller = { principal: null, process: "system", ip: null, requestId: null, correlationId: null };
const user = {
  key: "user:1",
  kind: "user",
  userId: "u1",
  name: "",
  permissions: new Set(),
  memberships: new Map(),
  tokenId: null,
  expiresAt: 0,
} as const;
const key = {
  key: "key:1",
  kind: "apiKey",
  keyId: "k1",
  projectId: "p1",
  scopes: new Set(),
  rateLimit: null,
  expiresAt: 0,
} as const;

test("code without a caller runs as the system, and within runAs as the caller", async () => {
  assert.deepEqual(currentCaller(), nobody);
  const request: Caller = { ...nobody, process: "request", requestId: "r1" };
  await runAs(request, async () => {
    await Promise.resolve();
    assert.equal(currentCaller(), request);
  });
  assert.deepEqual(currentCaller(), nobody);
});

test("an audit row names its actor by id, never by name", async (t) => {
  for (const { name, caller, actor, userId } of [
    { name: "a user", caller: { ...nobody, principal: user }, actor: { type: "user", id: "u1" }, userId: "u1" },
    {
      name: "a personal token",
      caller: { ...nobody, principal: { ...user, kind: "service", tokenId: "t1" } },
      actor: { type: "service", id: "u1", tokenId: "t1" },
      userId: "u1",
    },
    { name: "an API key", caller: { ...nobody, principal: key }, actor: { type: "apiKey", id: "k1" }, userId: null },
    { name: "a job", caller: { ...nobody, process: "job" }, actor: { type: "job" }, userId: null },
    {
      name: "a command",
      caller: { ...nobody, process: "cli" },
      actor: { type: "cli", account: userInfo().username },
      userId: null,
    },
    { name: "the server itself", caller: nobody, actor: { type: "system" }, userId: null },
  ] as const)
    await t.test(name, () => {
      const found = actorOf(caller as Caller);
      assert.deepEqual([JSON.parse(found.actor), found.userId], [actor, userId]);
    });
});

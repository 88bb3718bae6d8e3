import assert from "node:assert/strict";
import test from "node:test";
import { setPassword } from "../../../../src/features/access/sessions/login.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { makeServiceToken } from "../../../http/support/access/makers.ts";

interface Profile {
  readonly name: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly updatedAt: string;
  readonly pushTokens: { readonly fcm: boolean; readonly apns: boolean };
}

const ME = "/api/v1/users/me";

test("S3-04 S3-15: a profile is answered from memory, and read again after every write that it shows", async (t) => {
  const prism = await startPrism(t, { settings: { "auth.bcryptCost": "4" } });
  const uma = await makeUser(prism, "uma", ["User"]);
  const as = { token: uma.token };
  const shown = async () => (await prism.get<Profile>("/api/profile", as)).body;
  const { profiles } = prism.parts.offers.reads;
  await shown();
  const { hits } = profiles.cacheStats;
  assert.deepEqual(await shown(), await shown());
  assert.equal(profiles.cacheStats.hits, hits + 2);

  for (const [name, write, seen] of [
    ["the user changes it", () => prism.put("/api/profile", { name: "Uma" }, as), (p: Profile) => p.name === "Uma"],
    [
      "an administrator gives a role",
      () => prism.patch(`/api/v1/users/${uma.id}`, { roles: ["User", "Auditor"] }),
      (p: Profile) => p.roles.join() === "Auditor,User" && p.permissions.includes("audit:read"),
    ],
    ["a device is named", () => prism.put(`${ME}/push-tokens`, { fcm: "token" }, as), (p: Profile) => p.pushTokens.fcm],
    [
      "somebody else names the same device",
      () => prism.put(`${ME}/push-tokens`, { fcm: "token" }),
      (p: Profile) => !p.pushTokens.fcm,
    ],
  ] as const) {
    await t.test(name, async () => {
      await shown();
      const reply = await write();
      assert.equal(reply.status, 200, reply.text);
      assert.ok(seen(await shown()));
    });
  }

  await t.test("preferences and a password count as a change of the account", async () => {
    const { parts } = prism;
    for (const write of [
      () => prism.put(`${ME}/preferences`, { digest: false }, as),
      () => setPassword(parts.offers.accounts, uma.id, "correct horse battery"),
    ]) {
      const before = (await shown()).updatedAt;
      await eventually("the clock has moved on", () => parts.base.clock.now() > Date.parse(before));
      await write();
      assert.notEqual((await shown()).updatedAt, before);
    }
  });

  await t.test("a service token is shown what it may do, and not what its user may", async () => {
    const { token } = await makeServiceToken(prism, uma.id, { scopes: ["tasks:own", "account:own"] });
    await shown();
    assert.deepEqual((await prism.get<Profile>(ME, { token })).body.permissions, ["tasks:own"]);
    assert.ok((await shown()).permissions.length > 1);
  });
});

import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { DEFAULT_KEY_SCOPES, KEY_SCOPES, type Permission } from "../../../../src/core/permissions.ts";
import { createServiceToken } from "../../../../src/features/access/users/create-user.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { join } from "../../../http/support/access/makers.ts";

interface Answer {
  id: string;
  key?: string;
  apiKey?: string;
  scopes?: string[];
  error?: { code: string };
}

let prism: TestPrism;
let owner: { id: string; token: string };
let path: string;

before(async () => {
  prism = await TestPrism.start();
  owner = await makeUser(prism, "owner", ["User"]);
  const { body } = await prism.post<Answer>("/projects", { name: "shop" }, { token: owner.token });
  path = `/api/v1/projects/${body.id}/keys`;
  await join(prism, body.id, prism.parts.offers.devUserId ?? "", "owner");
});
after(() => prism.stop());

async function tokenFor(userId: string, ...scopes: Permission[]): Promise<string> {
  const { parts } = prism;
  return (await parts.base.database.write((trx) => createServiceToken(parts.base, { userId, name: "t", scopes }, trx)))
    .token;
}

test("a service token gives a key no scope that it lacks itself, the default ones included", async (t) => {
  const admin = prism.parts.offers.devUserId ?? "";
  for (const { held, given } of [
    { held: [], given: [] },
    { held: ["events:write"], given: ["events:write"] },
    { held: ["events:read"], given: ["events:read", "realtime:subscribe"] },
    { held: ["events:read", "events:write"], given: ["events:write", "events:read", "realtime:subscribe"] },
    { held: ["realtime:publish", "notifications:send"], given: ["realtime:publish", "notifications:send"] },
  ] as { held: Permission[]; given: string[] }[])
    await t.test(`one for ${["projects:create", ...held].join(", ")}`, async () => {
      const token = await tokenFor(admin, "projects:create", ...held);
      const keys = countOf(prism, "api_keys");
      for (const scope of KEY_SCOPES) {
        const reply = await prism.post<Answer>(path, { scopes: [scope] }, { token });
        if (given.includes(scope)) assert.deepEqual([reply.status, reply.body.scopes], [201, [scope]]);
        else assert.deepEqual([reply.status, reply.body.error?.code], [422, "PRIVILEGE_ESCALATION"], scope);
      }
      const byDefault = await prism.post<Answer>(path, {}, { token });
      const mayDefault = DEFAULT_KEY_SCOPES.every((scope) => given.includes(scope));
      assert.equal(byDefault.status, mayDefault ? 201 : 422);
      assert.equal(countOf(prism, "api_keys"), keys + given.length + (mayDefault ? 1 : 0));
    });
});

test("an owner's token may hold what the owner has by that role alone", async () => {
  const token = await tokenFor(owner.id, "projects:create", "events:read");
  const { body } = await answered(201, prism.post<Answer>(path, { scopes: ["events:read"] }, { token }));
  assert.equal((await prism.get("/events", { apiKey: body.key ?? "" })).status, 200);
});

test("a service token rotates no key into its hand that can do more than it", async () => {
  const { body: key } = await prism.post<Answer>(path, {}, { token: owner.token });
  const rotate = (token: string) => prism.post<Answer>(`${path}/${key.id}/rotate`, {}, { token });
  const refused = await rotate(await tokenFor(owner.id, "projects:create", "events:write"));
  assert.deepEqual([refused.status, refused.body.error?.code], [422, "PRIVILEGE_ESCALATION"]);
  assert.equal((await prism.post("/ingest", { type: "a" }, { apiKey: key.key ?? "" })).status, 202, "it goes on");
  assert.equal(
    (await rotate(await tokenFor(owner.id, "projects:create", "events:write", "events:read", "silences:write"))).status,
    201,
  );
});

test("a project made by a service token has a first key of the token's own scopes, or none", async () => {
  for (const { held, scopes } of [
    { held: [], scopes: undefined },
    { held: ["events:write"], scopes: ["events:write"] },
    { held: ["events:read", "events:write"], scopes: ["events:write", "events:read"] },
  ] as { held: Permission[]; scopes: string[] | undefined }[]) {
    const token = await tokenFor(owner.id, "projects:create", ...held);
    const { body } = await answered(201, prism.post<Answer>("/projects", { name: "made by a token" }, { token }));
    assert.equal("apiKey" in body, scopes !== undefined);
    const stored = rowsOf<{ scopes: string }>(prism, "select scopes from api_keys where projectId = ?", body.id);
    const shown = stored.map((key) => JSON.parse(key.scopes));
    assert.deepEqual(shown, scopes === undefined ? [] : [scopes]);
  }
});

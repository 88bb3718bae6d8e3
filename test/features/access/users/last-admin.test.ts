import assert from "node:assert/strict";
import test from "node:test";
import { hasAdmin } from "../../../../src/features/access/first-start.ts";
import { setPassword } from "../../../../src/features/access/sessions/login.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { logIn, makeAccount, outcomeOf, startAccounts } from "../sessions/support/auth-client.ts";

const USERS = "/api/v1/users";
const ADMIN = { roles: ["Admin"] };

async function devId(prism: TestPrism): Promise<string> {
  return (await prism.get<{ id: string }>(`${USERS}/me`)).body.id;
}

const admins = (prism: TestPrism): unknown =>
  scalarOf(
    prism,
    `select count(*) from users u join user_roles ur on ur.userId = u.id join roles r on r.id = ur.roleId
     where r.name = 'Admin' and u.status = 'active' and u.deletedAt is null`,
  );

test("Prism keeps an administrator, whichever way the last one would go", async (t) => {
  const prism = await startAccounts(t);
  const dev = await devId(prism);
  const roleId = scalarOf<string>(prism, "select id from roles where name = 'Admin'");
  for (const c of [
    { name: "disabled", attempt: () => prism.patch(`${USERS}/${dev}`, { status: "disabled" }), is: "409 LAST_ADMIN" },
    { name: "other roles", attempt: () => prism.patch(`${USERS}/${dev}`, { roles: ["User"] }), is: "409 LAST_ADMIN" },
    { name: "no roles", attempt: () => prism.patch(`${USERS}/${dev}`, { roles: [] }), is: "409 LAST_ADMIN" },
    { name: "removed", attempt: () => prism.delete(`${USERS}/${dev}`), is: "409 LAST_ADMIN" },
    {
      name: "the role without rights",
      attempt: () => prism.put(`/api/v1/roles/${roleId}`, { permissions: [] }),
      is: "409 ROLE_BUILTIN",
    },
    { name: "the role removed", attempt: () => prism.delete(`/api/v1/roles/${roleId}`), is: "409 ROLE_BUILTIN" },
  ])
    await t.test(c.name, async () => {
      assert.equal(outcomeOf(await c.attempt()), c.is);
      assert.equal((await prism.get(`${USERS}/me`)).status, 200, "and may go on");
    });

  await t.test("an administrator who is disabled, waits or was removed does not count", async () => {
    const ann = await makeAccount(prism, { username: "ann" }, ADMIN);
    await prism.patch(`${USERS}/${ann.id}`, { status: "disabled" });
    await prism.post(USERS, { username: "invited", roles: ["Admin"] });
    const cid = await makeAccount(prism, { username: "cid" }, ADMIN);
    await prism.delete(`${USERS}/${cid.id}`);
    assert.equal(outcomeOf(await prism.delete(`${USERS}/${dev}`)), "409 LAST_ADMIN");
  });

  await t.test("of two who remove each other at the same moment one stays", async () => {
    const [ann, bob] = [
      await makeAccount(prism, { username: "ann-2" }, ADMIN),
      await makeAccount(prism, { username: "bob-2" }, ADMIN),
    ];
    const [asAnn, asBob] = [await logIn(prism, "ann-2"), await logIn(prism, "bob-2")];
    assert.equal(outcomeOf(await prism.patch(`${USERS}/${dev}`, { roles: [] }, { token: asAnn.token })), "200");
    const replies = await Promise.all([
      prism.patch(`${USERS}/${bob.id}`, { roles: [] }, { token: asAnn.token }),
      prism.patch(`${USERS}/${ann.id}`, { status: "disabled" }, { token: asBob.token }),
      prism.delete(`${USERS}/${ann.id}`, { token: asBob.token }),
      prism.delete(`${USERS}/${bob.id}`, { token: asAnn.token }),
    ]);
    assert.equal(admins(prism), 1);
    assert.ok(replies.some(({ status }) => status < 300));
    assert.ok(replies.some(({ status }) => status >= 400));
  });
});

test("outside development the administrator dev does not count until it has a password", async (t) => {
  const prism = await startAccounts(t);
  const ann = await makeAccount(prism, { username: "ann" }, ADMIN);
  const { db } = prism.services;
  await prism.patch(`${USERS}/${ann.id}`, { status: "disabled" });
  assert.deepEqual([await hasAdmin(db.read, true), await hasAdmin(db.read, false)], [true, false]);
  await setPassword(prism.parts.offers.accounts, await devId(prism), "correct horse battery");
  assert.equal(await hasAdmin(db.read, false), true, "with a password dev counts");
});

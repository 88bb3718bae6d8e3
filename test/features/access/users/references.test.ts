import assert from "node:assert/strict";
import test from "node:test";
import { countOf, scalarOf } from "../../../helpers/tables.ts";
import { makeAccount, outcomeOf, startAccounts } from "../sessions/support/auth-client.ts";

test("D18: a person is meant by me, id, external id or username, in this order; in development others are made", async (t) => {
  const prism = await startAccounts(t);
  const me = (await prism.get<{ id: string }>("/api/v1/users/me")).body.id;
  const ann = await makeAccount(prism, { username: "ann" });
  const bob = await makeAccount(prism, { username: "bob" });
  await prism.patch(`/api/v1/users/${bob.id}`, { externalId: "ann-7" });
  const send = (userId: string) =>
    prism.post<{ id: string }>("/api/v1/notifications", { userId, title: "t", message: "m" });
  const reached = async (ref: string): Promise<string | undefined> => {
    const { status, body } = await send(ref);
    assert.equal(status, 201, ref);
    return scalarOf<string>(prism, "select userId from notification_recipients where notificationId = ?", body.id);
  };
  const before = countOf(prism, "users");
  for (const [ref, id] of [
    ["me", me],
    [ann.id, ann.id],
    ["ann-7", bob.id],
    ["ann", ann.id],
    ["Ann", ann.id],
  ] as const)
    assert.equal(await reached(ref), id, ref);
  assert.equal(countOf(prism, "users"), before, "nobody is made who is there");

  await t.test("an external id goes before a username", async () => {
    await prism.patch(`/api/v1/users/${bob.id}`, { externalId: "ann" });
    assert.equal(await reached("ann"), bob.id);
  });

  await t.test(
    "an unknown recipient is created once: without password or permissions, only to be notified",
    async () => {
      const made = await reached("user-id");
      assert.equal(await reached("user-id"), made);
      const row = "select username is null and passwordHash is null and status = 'active' from users where id = ?";
      assert.equal(scalarOf(prism, row, made), 1);
      assert.equal(scalarOf(prism, "select count(*) from user_roles where userId = ?", made), 0);
    },
  );

  await t.test("a disabled user is not created again", async () => {
    await prism.patch(`/api/v1/users/${ann.id}`, { externalId: "crm-1", status: "disabled" });
    for (const ref of ["crm-1", ann.id]) assert.equal(outcomeOf(await send(ref)), "422 RECIPIENT_NOT_FOUND");
  });
});

test("D18: with unknownRecipient reject no user is created", async (t) => {
  const prism = await startAccounts(t, { settings: { "notifications.unknownRecipient": "reject" } });
  const before = countOf(prism, "users");
  const reply = await prism.post("/api/v1/notifications", { userId: "user-id", title: "t", message: "m" });
  assert.equal(outcomeOf(reply), "422 RECIPIENT_NOT_FOUND");
  assert.equal(countOf(prism, "users"), before);
});

import assert from "node:assert/strict";
import test from "node:test";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { call, logIn, makeAccount, outcomeOf, startAccounts, type UserBody } from "../sessions/support/auth-client.ts";

interface FullUser extends UserBody {
  readonly externalId: string | null;
  readonly timezone: string;
  readonly pushTokens?: unknown;
  readonly inviteUrl?: string;
}

interface Page {
  readonly data: readonly FullUser[];
  readonly total?: number;
  readonly page: number | null;
  readonly nextCursor: string | null;
}

const USERS = "/api/v1/users";

/** Usernames of a list, in its order. */
const namesOf = ({ data }: Page): (string | null)[] => data.map(({ username }) => username);

test("S2-10: users are listed newest first, page by page, by text, status and role", async (t) => {
  keepsPromise(t, "S2-10");
  const prism = await startAccounts(t);
  const made: string[] = [];
  for (const [username, roles] of [
    ["ann", ["Operator"]],
    ["bob", ["User", "Viewer"]],
    ["cid", ["User"]],
  ] as const)
    made.push((await makeAccount(prism, { username, email: `${username}@example.org` }, { roles })).id);
  await prism.patch(`${USERS}/${made[2]}`, { status: "disabled", externalId: "EXT%1", name: "Cid 100_%" });
  const list = async (query: string): Promise<Page> => (await prism.get<Page>(`${USERS}?${query}`)).body;

  for (const c of [
    { query: "", names: ["cid", "bob", "ann", "dev"] },
    { query: "status=disabled", names: ["cid"] },
    { query: "status=active&role=user", names: ["bob"] },
    { query: "role=Admin", names: ["dev"] },
    { query: "role=Nobody", names: [] },
    { query: "q=ANN%40example", names: ["ann"] },
    { query: "q=100_%25", names: ["cid"] },
    { query: "q=%25", names: ["cid"] },
    { query: "q=ext%251", names: ["cid"] },
    { query: "q=nothing", names: [] },
  ])
    await t.test(c.query || "all users", async () => assert.deepEqual(namesOf(await list(c.query)), c.names));

  await t.test("pages join without a gap, with a total where there are pages to count", async () => {
    const first = await list("limit=2&page=1");
    assert.deepEqual([namesOf(first), first.total, first.page], [["cid", "bob"], 4, 1]);
    const second = await list(`limit=2&cursor=${first.nextCursor}`);
    assert.deepEqual(
      [namesOf(second), second.total, second.page, second.nextCursor],
      [["ann", "dev"], undefined, null, null],
    );
    assert.deepEqual(namesOf(await list("limit=1&offset=2")), ["ann"]);
  });

  await t.test("users:manage shows the kinds of devices of users, users:read does not", async () => {
    const operator = await logIn(prism, "ann");
    const seen = (await prism.get<Page>(USERS, { token: operator.token })).body.data;
    const rows = seen.map(({ username, pushTokens }) => [username, pushTokens !== undefined]);
    assert.deepEqual(rows, [
      ["cid", false],
      ["bob", false],
      ["ann", true],
      ["dev", false],
    ]);
    assert.ok((await list("")).data.every(({ pushTokens }) => pushTokens !== undefined));
    assert.doesNotMatch((await prism.get(USERS)).text, /passwordHash|\$2b/);
  });

  for (const c of [
    { query: "status=gone", is: "400 VALIDATION_FAILED" },
    { query: "page=1&offset=1", is: "400 VALIDATION_FAILED" },
    { query: "cursor=WzFd", is: "400 INVALID_CURSOR" },
    { query: `q=${"x".repeat(101)}`, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${c.query.slice(0, 20)} is refused`, async () =>
      assert.equal(outcomeOf(await prism.get(`${USERS}?${c.query}`)), c.is),
    );
});

test("S2-10, S2-97: an administrator makes accounts", async (t) => {
  keepsPromise(t, ["S2-10", "S2-97"]);
  const prism = await startAccounts(t, { settings: { timezone: "Europe/Rome" } });
  await t.test("with a password, which logs in", async () => {
    const body = {
      email: "Ann@Example.org",
      username: "ann",
      phone: "+49 30 123-456",
      externalId: "e-1",
      name: "Ann\u0000 Lee",
      password: "correct horse battery",
      roles: ["Operator", "Operator", "viewer"],
    };
    const { status, body: user } = await prism.post<FullUser>(USERS, body);
    const { email, phone, externalId, name, roles, timezone, status: state, inviteUrl } = user;
    assert.deepEqual(
      [status, email, phone, externalId, name, roles, timezone, state, inviteUrl],
      [201, "ann@example.org", "+4930123456", "e-1", "Ann Lee", ["Operator", "Viewer"], null, "active", undefined],
    );
    assert.equal((await logIn(prism, "ann@example.org")).user.id, user.id);
  });

  await t.test("without one: the owner chooses it by a link, which is shown where there is no mail", async () => {
    const { body, status } = await prism.post<FullUser>(USERS, { email: "bob@example.org", roles: ["Viewer"] });
    assert.deepEqual([status, body.status], [201, "pending"]);
    const inviteToken = String(body.inviteUrl).split("#token=")[1];
    assert.ok(inviteToken);
    assert.equal(
      scalarOf(prism, "select count(*) from one_time_tokens where hash = ?", inviteToken),
      0,
      "hashed at rest",
    );
    const accepted = await call<{ status: string }>(prism, "/api/v1/auth/register", {
      inviteToken,
      password: "bob chooses this",
    });
    assert.deepEqual([accepted.status, accepted.body.status], [201, "active"]);
    const bob = await logIn(prism, "bob@example.org", "bob chooses this");
    assert.deepEqual(bob.user.roles, ["Viewer"]);
  });

  await t.test("an invited user who was rejected cannot use the link", async () => {
    for (const end of ["reject", "disable", "delete"] as const) {
      const { body } = await prism.post<FullUser>(USERS, { username: `invited-${end}` });
      if (end === "reject") await prism.post(`${USERS}/${body.id}/reject`, {});
      else if (end === "disable") await prism.patch(`${USERS}/${body.id}`, { status: "disabled" });
      else await prism.delete(`${USERS}/${body.id}`);
      const inviteToken = String(body.inviteUrl).split("#token=")[1];
      const reply = await call(prism, "/api/v1/auth/register", { inviteToken, password: "let me in all the same" });
      assert.equal(outcomeOf(reply), "410 LINK_EXPIRED", end);
    }
    const closed = await prism.post<FullUser>(USERS, { username: "closed", status: "disabled" });
    assert.deepEqual([closed.status, closed.body.inviteUrl], [201, undefined]);
  });

  const before = scalarOf(prism, "select count(*) from users");
  for (const c of [
    { body: { email: "ANN@example.org" }, is: "409 EMAIL_TAKEN" },
    { body: { username: "x" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "me" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "eve", externalId: "me" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "Ann" }, is: "409 USERNAME_TAKEN" },
    { body: { username: "eve", phone: "+49 (30) 123456" }, is: "409 PHONE_TAKEN" },
    { body: { username: "eve", externalId: "e-1" }, is: "409 ID_CONFLICT" },
    { body: { username: "eve", roles: ["Nix"] }, is: "404 ROLE_NOT_FOUND" },
    { body: { username: "eve", password: "short" }, is: "422 WEAK_PASSWORD" },
    { body: { username: "eve", timezone: "Mars/Olympus" }, is: "400 INVALID_TIMEZONE" },
    { body: { username: "eve", timezone: "+02:00" }, is: "400 INVALID_TIMEZONE" },
    { body: { email: "no address" }, is: "400 VALIDATION_FAILED" },
    { body: { email: "a\u202eb@example.org" }, is: "400 VALIDATION_FAILED" },
    { body: { phone: "+4930999999" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "eve", status: "gone" }, is: "400 VALIDATION_FAILED" },
    { body: { username: "eve", isAdmin: true }, is: "400 VALIDATION_FAILED" },
    { body: { username: "eve", roles: Array(17).fill("User") }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${JSON.stringify(c.body).slice(0, 60)} is refused with ${c.is}`, async () =>
      assert.equal(outcomeOf(await prism.post(USERS, c.body)), c.is),
    );
  assert.equal(scalarOf(prism, "select count(*) from users"), before, "nothing refused leaves a row");
});

test("a new account that holds a role is reached by the rules of that role at once", async (t) => {
  const prism = await startAccounts(t);
  await prism.post("/api/v1/rules", { name: "r", condition: "event.type == 'a'", targetRoles: ["Operator"] });
  await prism.post("/api/v1/events", { type: "a" });
  const ann = await makeAccount(prism, { username: "ann" }, { roles: ["Operator"] });
  await prism.post("/api/v1/events", { type: "a" });
  assert.equal(scalarOf(prism, "select count(*) from notification_recipients where userId = ?", ann.id), 1);
});

test("S2-97: users cannot grant permissions they lack, nor change users with more permissions", async (t) => {
  keepsPromise(t, "S2-97");
  const prism = await startAccounts(t);
  await prism.post("/api/v1/roles", { name: "Clerk", permissions: ["users:read", "users:manage", "users:approve"] });
  const { token } = await makeUser(prism, "clerk", ["Clerk"]);
  const as = { token };
  const operator = await makeAccount(prism, { username: "oper" }, { roles: ["Operator"] });
  const plain = await makeAccount(prism, { username: "plain" }, { roles: [] });
  const escalation = "422 PRIVILEGE_ESCALATION";
  assert.equal(outcomeOf(await prism.post(USERS, { username: "x-1", roles: ["Viewer"] }, as)), escalation);
  assert.equal(outcomeOf(await prism.patch(`${USERS}/${plain.id}`, { roles: ["Admin"] }, as)), escalation);
  assert.equal(outcomeOf(await prism.patch(`${USERS}/${operator.id}`, { email: "me@example.org" }, as)), escalation);
  assert.equal(outcomeOf(await prism.delete(`${USERS}/${operator.id}`, as)), escalation);
  assert.equal(outcomeOf(await prism.patch(`${USERS}/${plain.id}`, { name: "Plain", roles: ["Clerk"] }, as)), "200");
  const pending = await call<{ user: UserBody }>(prism, "/api/v1/auth/register", {
    username: "newcomer",
    password: "a good long one",
  });
  const approve = `${USERS}/${pending.body.user.id}/approve`;
  assert.equal(outcomeOf(await prism.post(approve, {}, as)), escalation, "User has rights that a clerk lacks");
  assert.equal(outcomeOf(await prism.post(approve, { roles: ["Clerk"] }, as)), "200");
});

test("one account is read, changed and removed", async (t) => {
  const prism = await startAccounts(t);
  const ann = await makeAccount(prism, { username: "ann", email: "ann@example.org", phone: "+4930123456" });
  const bob = await makeAccount(prism, { username: "bob" }, { roles: [] });
  const path = `${USERS}/${ann.id}`;
  const { token } = await logIn(prism, "bob");

  await t.test("the user and readers of users see it, for others it does not exist", async () => {
    assert.equal(outcomeOf(await prism.get(path, { token })), "404 USER_NOT_FOUND");
    assert.equal(outcomeOf(await prism.get(`${USERS}/${bob.id}`, { token })), "200");
    assert.equal((await prism.get<FullUser>(path)).body.username, "ann");
    for (const id of ["nonsense", "ann", "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"])
      assert.equal(outcomeOf(await prism.get(`${USERS}/${id}`)), "404 USER_NOT_FOUND");
  });

  await t.test("every member of it, with one row in the audit for what has changed", async () => {
    const patch = {
      name: "Ann",
      email: "Ann@new.example",
      username: "annie",
      phone: null,
      externalId: "x",
      timezone: "Asia/Tokyo",
    };
    const { status, body } = await prism.patch<FullUser>(path, { ...patch, roles: ["Viewer"] });
    const { name, email, username, phone, externalId, timezone, roles } = body;
    assert.deepEqual(
      [status, name, email, username, phone, externalId, timezone, roles],
      [200, "Ann", "ann@new.example", "annie", null, "x", "Asia/Tokyo", ["Viewer"]],
    );
    assert.equal(outcomeOf(await prism.patch(path, { name: "Ann", roles: ["viewer"] })), "200", "changes nothing");
    const rows = rowsOf<{ metadata: string }>(
      prism,
      "select metadata from audit_log where action = 'user.update' and resourceId = ?",
      ann.id,
    );
    assert.equal(rows.length, 1);
    const { changed } = JSON.parse(rows[0]?.metadata ?? "") as { changed: string[] };
    assert.deepEqual(changed.sort(), ["email", "externalId", "name", "phone", "roles", "timezone", "username"]);
    assert.doesNotMatch(rows[0]?.metadata ?? "", /example|Tokyo|annie/, "ids, never names");
  });

  await makeAccount(prism, { username: "cid", email: "cid@example.org", phone: "+4930555555" });
  await prism.patch(`${USERS}/${bob.id}`, { externalId: "b" });
  for (const c of [
    { body: { email: "cid@example.org" }, is: "409 EMAIL_TAKEN" },
    { body: { username: "CID" }, is: "409 USERNAME_TAKEN" },
    { body: { phone: "+4930555555" }, is: "409 PHONE_TAKEN" },
    { body: { externalId: "b" }, is: "409 ID_CONFLICT" },
    { body: { roles: ["Nix"] }, is: "404 ROLE_NOT_FOUND" },
    { body: { timezone: "" }, is: "400 INVALID_TIMEZONE" },
    { body: { status: "pending" }, is: "400 VALIDATION_FAILED" },
    { body: { name: "" }, is: "400 VALIDATION_FAILED" },
    { body: { password: "x" }, is: "400 VALIDATION_FAILED" },
  ])
    await t.test(`${JSON.stringify(c.body)} is refused with ${c.is}`, async () =>
      assert.equal(outcomeOf(await prism.patch(path, c.body)), c.is),
    );

  await t.test("a user who waits for approval gets in by no other route", async () => {
    const { body } = await call<{ user: UserBody }>(prism, "/api/v1/auth/register", {
      username: "new",
      password: "a good long one",
    });
    assert.equal(outcomeOf(await prism.patch(`${USERS}/${body.user.id}`, { status: "active" })), "409 INVALID_STATE");
    assert.equal(outcomeOf(await prism.patch(`${USERS}/${body.user.id}`, { status: "disabled" })), "200");
  });

  await t.test("a removed account is gone, its names are free, its row stays", async () => {
    assert.equal((await prism.delete(path)).status, 204);
    for (const request of [prism.delete(path), prism.get(path), prism.patch(path, { name: "x" })])
      assert.equal(outcomeOf(await request), "404 USER_NOT_FOUND");
    assert.equal(scalarOf(prism, "select passwordHash from users where id = ?", ann.id), null);
    await makeAccount(prism, { username: "annie", email: "ann@new.example" });
  });

  await t.test("S2-97: without the right there is nothing", async (t) => {
    keepsPromise(t, "S2-97");
    for (const reply of await refusedTo(prism, token, bob.id)) assert.equal(outcomeOf(reply), "403 UNAUTHORIZED_ROLE");
  });
});

function refusedTo(prism: TestPrism, token: string, id: string) {
  const as = { token };
  return Promise.all([
    prism.get(USERS, as),
    prism.get(`${USERS}/pending`, as),
    prism.post(USERS, { username: "eve" }, as),
    prism.patch(`${USERS}/${id}`, { roles: ["Admin"] }, as),
    prism.delete(`${USERS}/${id}`, as),
    prism.post(`${USERS}/${id}/approve`, {}, as),
    prism.post(`${USERS}/${id}/reject`, {}, as),
  ]);
}

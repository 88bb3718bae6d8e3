import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, type PrismOptions, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { logIn, makeAccount, outcomeOf, PASSWORD, startAccounts } from "../sessions/support/auth-client.ts";
import { MailServer } from "../sessions/support/mail-server.ts";

interface Invitation {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly projectId: string;
  readonly projectName: string;
  readonly inviteUrl?: string;
}
interface List {
  readonly data: readonly Invitation[];
}

const OWN = "/api/v1/users/me/invitations";
const DAY = 24 * 3_600_000;

/** A project of a plain user, an account that may be invited, and how to invite. */
async function makeTeam(t: TestContext, { settings, ...options }: PrismOptions = {}) {
  const prism = await startAccounts(t, { ...options, settings: settings ?? {} });
  const owner = await makeUser(prism, "owner", ["User"]);
  const as = { token: owner.token };
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, as);
  const path = `/api/v1/projects/${shop.id}`;
  await makeAccount(prism, { username: "ann", email: "ann@example.com" });
  const ann = { token: (await logIn(prism, "ann")).token };
  const invite = (email: string, role = "viewer") => prism.post<Invitation>(`${path}/members`, { email, role }, as);
  return { prism, as, shop, path, ann, invite };
}

const tokenOf = ({ body }: { body: Invitation }): string => body.inviteUrl?.split("#token=")[1] ?? "";
const namesIn = async (prism: TestPrism, path: string): Promise<string[]> =>
  (await prism.get<{ data: { username: string }[] }>(path)).body.data.map(({ username }) => username);
const membersOf = (prism: TestPrism, path: string): Promise<string[]> => namesIn(prism, `${path}/members`);

test("an owner invites by mail address, and the invited person becomes a member by accepting", async (t) => {
  const { prism, path, ann, shop, invite } = await makeTeam(t);
  const invited = await invite(" Ann@Example.com ", "editor");
  assert.deepEqual([invited.status, invited.body.email, invited.body.role], [202, "ann@example.com", "editor"]);
  assert.deepEqual(await membersOf(prism, path), ["owner"], "nothing happens without consent");
  const [open] = (await prism.get<List>(OWN, ann)).body.data;
  assert.deepEqual([open?.projectId, open?.projectName, open?.role], [shop.id, "shop", "editor"]);
  const stranger = await makeUser(prism, "stranger");
  const accept = `${OWN}/${open?.id}/accept`;
  assert.equal(outcomeOf(await prism.post(accept, undefined, { token: stranger.token })), "404 INVITATION_NOT_FOUND");
  assert.equal((await prism.post(accept, undefined, ann)).status, 200);
  assert.deepEqual(await membersOf(prism, path), ["owner", "ann"]);
  assert.equal((await prism.get(path, ann)).status, 200, "from the next request on");
  assert.equal(outcomeOf(await prism.post(accept, undefined, ann)), "404 INVITATION_NOT_FOUND", "good once");
  assert.deepEqual(
    valuesOf(
      rowsOf<{ action: string }>(
        prism,
        "select action from audit_log where action like 'invitation.%' or action like 'member.%' order by seq",
      ),
      "action",
    ),
    ["invitation.create", "invitation.accept", "member.add"],
  );
  assert.equal((await prism.delete(`${path}/members/me`, ann)).status, 204, "a member may leave");
  assert.deepEqual(await membersOf(prism, path), ["owner"]);
});

test("no response reveals who has an account: known and unknown addresses get the same one, ids are refused", async (t) => {
  const { prism, as, path, invite } = await makeTeam(t);
  const shapeOf = ({ status, body }: { status: number; body: object }) => [status, Object.keys(body).sort()];
  assert.deepEqual(shapeOf(await invite("ann@example.com")), shapeOf(await invite("nobody@example.com")));
  const byId = async (userId: string) => prism.post(`${path}/members`, { userId, role: "viewer" }, as);
  assert.equal(outcomeOf(await byId("ann")), "403 UNAUTHORIZED_ROLE");
  assert.equal(outcomeOf(await byId("nobody")), "403 UNAUTHORIZED_ROLE");
  assert.equal((await byId("ann@example.com")).status, 202, "an address is an invitation, in either member");
  const operator = await makeUser(prism, "operator", ["Operator"]);
  const { body: own } = await prism.post<{ id: string }>("/projects", { name: "own" }, { token: operator.token });
  const added = { userId: "ann", role: "viewer" };
  assert.equal((await prism.post(`/api/v1/projects/${own.id}/members`, added, { token: operator.token })).status, 201);
  for (const body of [
    { role: "viewer" },
    { email: "a@example.com", userId: "ann", role: "viewer" },
    { email: "no address", role: "viewer" },
  ])
    assert.equal(outcomeOf(await prism.post(`${path}/members`, body, as)), "400 VALIDATION_FAILED");
});

test("invitations that are open are listed, renewed, revoked, declined, and end after a week", async (t) => {
  const clock = new FakeClock();
  const { prism, as, path, ann, invite } = await makeTeam(t, { clock, settings: { "auth.accessExpires": "1d" } });
  const first = await invite("ann@example.com");
  const second = await invite("ann@example.com", "owner");
  assert.equal(first.body.id, second.body.id, "an address has one invitation to a project");
  const list = await prism.get<List>(`${path}/invitations`, as);
  assert.deepEqual(rowsWith(list.body.data, "email", "role"), [["ann@example.com", "owner"]]);
  const byLink = (token: string) => prism.post(OWN, { token }, ann);
  assert.equal(outcomeOf(await byLink(tokenOf(first))), "410 LINK_EXPIRED", "a renewed one has a new link");

  assert.equal((await prism.delete(`${path}/invitations/${second.body.id}`, as)).status, 204);
  assert.equal(outcomeOf(await prism.delete(`${path}/invitations/${second.body.id}`, as)), "404 INVITATION_NOT_FOUND");
  assert.equal(outcomeOf(await byLink(tokenOf(second))), "410 LINK_EXPIRED");
  assert.deepEqual((await prism.get<List>(OWN, ann)).body.data, []);

  const third = await invite("ann@example.com");
  assert.equal((await prism.delete(`${OWN}/${third.body.id}`, ann)).status, 204);
  assert.equal(outcomeOf(await byLink(tokenOf(third))), "410 LINK_EXPIRED");

  const actions = rowsOf<{ action: string }>(prism, "select action from audit_log where action like 'invitation.%'");
  for (const action of ["invitation.revoke", "invitation.decline"])
    assert.ok(
      actions.some((row) => row.action === action),
      action,
    );

  const fourth = await invite("ann@example.com");
  clock.advance(7 * DAY);
  const later = { token: (await logIn(prism, "ann")).token };
  assert.equal(outcomeOf(await prism.post(OWN, { token: tokenOf(fourth) }, later)), "410 LINK_EXPIRED");
  assert.deepEqual((await prism.get<List>(OWN, later)).body.data, []);
});

test("invitations are limited by inviter and by address", async (t) => {
  const { invite } = await makeTeam(t, { clock: new FakeClock(), settings: { "rateLimit.enabled": "true" } });
  for (let i = 0; i < 5; i++) assert.equal((await invite("ann@example.com")).status, 202);
  assert.equal(outcomeOf(await invite("ann@example.com")), "429 RATE_LIMITED");
  for (let i = 0; i < 14; i++) assert.equal((await invite(`u${i}@example.com`)).status, 202);
  assert.equal(outcomeOf(await invite("another@example.com")), "429 RATE_LIMITED");
});

test("the link of the mail opens the invitation to a person without an account, as far as registration goes", async (t) => {
  for (const [registration, outcome, status] of [
    ["open", 201, "active"],
    ["approval", 201, "pending"],
    ["closed", 403, undefined],
  ] as const) {
    await t.test(registration, async (t) => {
      const mail = await MailServer.start(t);
      const verifying = registration === "open" ? { "auth.requireEmailVerification": "true" } : {};
      const settings = { ...mail.settings, ...verifying, "auth.registration": registration };
      const { prism, path, invite } = await makeTeam(t, { settings });
      const invited = await invite("bob@example.com", "editor");
      assert.equal(invited.body.inviteUrl, undefined, "the link goes to the address alone");
      const token = await mail.tokenTo("bob@example.com");
      const { text } = await mail.mailTo("bob@example.com");
      assert.match(text, /"shop"/);
      const about = await prism.post("/api/v1/auth/project-invitation", { token }, { token: null });
      assert.deepEqual(
        [about.body["projectName"], about.body["email"], about.body["registration"]],
        ["shop", "bob@example.com", registration],
      );
      const register = (email: string) =>
        prism.post("/auth/register", { email, password: PASSWORD, projectInviteToken: token }, { token: null });
      if (registration !== "closed")
        assert.equal(outcomeOf(await register("eve@example.com")), "400 VALIDATION_FAILED");
      const made = await register("bob@example.com");
      assert.deepEqual([made.status, made.body["status"]], [outcome, status]);
      assert.equal((await membersOf(prism, path)).length, registration === "closed" ? 1 : 2);
    });
  }
});

test("where anyone registers under any address, only the link lets in", async (t) => {
  const { prism, invite } = await makeTeam(t, { settings: { "auth.registration": "open" } });
  const email = "stranger@example.com";
  await prism.post("/auth/register", { email, password: PASSWORD }, { token: null });
  const stranger = { token: (await logIn(prism, email)).token };
  const invited = await invite(email);
  assert.deepEqual((await prism.get<List>(OWN, stranger)).body.data, []);
  const accept = await prism.post(`${OWN}/${invited.body.id}/accept`, undefined, stranger);
  assert.equal(outcomeOf(accept), "404 INVITATION_NOT_FOUND");
  assert.equal((await prism.post(OWN, { token: tokenOf(invited) }, stranger)).status, 200);
});

test("users who change their own address do not get the invitations to it, but by the link", async (t) => {
  const { prism, path, ann, invite } = await makeTeam(t);
  const invited = await invite("newcomer@example.com");
  const { body: own } = await prism.get<{ id: string }>("/api/v1/users/me", ann);
  const taken = { email: "newcomer@example.com", currentPassword: PASSWORD };
  assert.equal((await prism.put("/api/v1/users/me", taken, ann)).status, 200);
  assert.deepEqual((await prism.get<List>(OWN, ann)).body.data, []);
  const way = `${OWN}/${invited.body.id}`;
  assert.equal(outcomeOf(await prism.post(`${way}/accept`, undefined, ann)), "404 INVITATION_NOT_FOUND");
  assert.equal(outcomeOf(await prism.delete(way, ann)), "404 INVITATION_NOT_FOUND");
  assert.deepEqual(await membersOf(prism, path), ["owner"]);
  assert.equal((await prism.patch(`/api/v1/users/${own.id}`, { email: "ann@example.org" })).status, 200);
  await invite("ann@example.org");
  assert.equal((await prism.get<List>(OWN, ann)).body.data.length, 1, "an address that an administrator set is known");
  assert.equal((await prism.post(OWN, { token: tokenOf(invited) }, ann)).status, 200);
});

test("an invitation ends when its inviter is removed, is no longer an owner, or is disabled", async (t) => {
  const { prism, path } = await makeTeam(t);
  const boss = await makeUser(prism, "boss", ["Admin"]);
  const asBoss = { token: boss.token };
  const second = await makeUser(prism, "second", ["User"]);
  const promote = () => prism.post(`${path}/members`, { userId: second.id, role: "owner" }, asBoss);
  const invite = async (email: string) =>
    tokenOf(await prism.post<Invitation>(`${path}/members`, { email, role: "owner" }, { token: second.token }));
  const open = (token: string) => prism.post("/api/v1/auth/project-invitation", { token }, { token: null });
  for (const [how, end] of [
    ["removed", () => prism.delete(`${path}/members/${second.id}`, asBoss)],
    ["demoted", () => prism.patch(`${path}/members/${second.id}`, { role: "viewer" }, asBoss)],
    ["disabled", () => prism.patch(`/api/v1/users/${second.id}`, { status: "disabled" }, asBoss)],
  ] as const) {
    await promote();
    const token = await invite(`${how}@example.com`);
    assert.equal((await open(token)).status, 200, how);
    assert.ok((await end()).status < 300, how);
    assert.equal(outcomeOf(await open(token)), "410 LINK_EXPIRED", how);
  }
});

test("names that users choose make no link in the mail", async (t) => {
  const mail = await MailServer.start(t);
  const { prism, as } = await makeTeam(t, { settings: mail.settings });
  const name = "Your account ends: https://phish.example/login\u202e";
  const { body } = await prism.post<{ id: string }>("/projects", { name }, as);
  await prism.post(`/api/v1/projects/${body.id}/members`, { email: "bob@example.com", role: "viewer" }, as);
  const { text } = await mail.mailTo("bob@example.com");
  assert.equal(text.includes("phish.example"), false);
  assert.match(text, /"Your account ends https phish example login"/);
});

test("a rule that breaks through quiet hours needs notifications:send, made, changed or imported", async (t) => {
  const prism = await startPrism(t);
  const owner = await makeUser(prism, "owner", ["User"]);
  const as = { token: owner.token };
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, as);
  const rule = { name: "r", condition: "true", targetUsers: ["me"], projectId: shop.id };
  const make = (priority: number, options = as) =>
    prism.post<{ id: string }>("/api/v1/rules", { ...rule, priority }, options);
  assert.equal(outcomeOf(await make(500)), "403 UNAUTHORIZED_ROLE");
  const made = await answered(201, make(499));
  const path = `/api/v1/rules/${made.body.id}`;
  assert.equal(outcomeOf(await prism.put(path, { priority: 1000 }, as)), "403 UNAUTHORIZED_ROLE");
  const rules = [{ ...rule, name: "imported", priority: 700 }];
  assert.equal(outcomeOf(await prism.post("/api/v1/rules/import", { rules }, as)), "403 UNAUTHORIZED_ROLE");
  assert.equal((await prism.put(path, { priority: 900 })).status, 200, "an administrator may");
  assert.equal(outcomeOf(await prism.put(path, { messageTemplate: "mine" }, as)), "403 UNAUTHORIZED_ROLE");
  assert.equal((await prism.put(path, { active: false }, as)).status, 200, "switching it off is free");
});

test("members are found by name, and only active ones if asked for", async (t) => {
  const { prism, path } = await makeTeam(t);
  for (const name of ["bea", "ben", "cleo"]) {
    const { id } = await makeUser(prism, name);
    assert.ok((await prism.post(`${path}/members`, { userId: id, role: "viewer" })).status < 300);
    if (name === "ben") assert.equal((await prism.patch(`/api/v1/users/${id}`, { status: "disabled" })).status, 200);
  }
  for (const [query, found] of [
    ["", ["owner", "bea", "ben", "cleo"]],
    ["?q=BE", ["bea", "ben"]],
    ["?q=be&status=active", ["bea"]],
    ["?status=active&page=1", ["owner", "bea", "cleo"]],
    ["?q=%25", []],
  ] as const)
    assert.deepEqual(await namesIn(prism, `${path}/members${query}`), found, query);
});

test("an invitation ends when its inviter may no longer invite: a demoted administrator does not return by it", async (t) => {
  const { prism, path, ann } = await makeTeam(t);
  const { id: eve, token } = await makeUser(prism, "eve", ["Admin"]);
  const invited = await prism.post<Invitation>(
    `${path}/members`,
    { email: "ann@example.com", role: "owner" },
    { token },
  );
  const { body: role } = await prism.post<{ id: string }>("/api/v1/roles", {
    name: "all",
    permissions: ["projects:all"],
  });
  assert.equal((await prism.patch(`/api/v1/users/${eve}`, { roles: ["User", "all"] })).status, 200);
  assert.equal((await prism.get<List>(OWN, ann)).body.data.length, 1, "another role with projects:all is enough");
  assert.equal((await prism.put(`/api/v1/roles/${role.id}`, { permissions: [] })).status, 200);
  assert.equal(outcomeOf(await prism.post(OWN, { token: tokenOf(invited) }, { token })), "410 LINK_EXPIRED");
  const accept = `${OWN}/${invited.body.id}/accept`;
  assert.equal(outcomeOf(await prism.post(accept, undefined, ann)), "404 INVITATION_NOT_FOUND");
  assert.deepEqual((await prism.get<List>(OWN, ann)).body.data, []);
  assert.deepEqual(await membersOf(prism, path), ["owner"]);
});

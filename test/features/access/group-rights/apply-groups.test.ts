import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Project, ProjectMemberPage, User } from "../../../../src/client/api-types.gen.ts";
import { applyGroups } from "../../../../src/features/access/group-rights/apply-groups.ts";
import { signInFindings } from "../../../../src/features/access/group-rights/findings.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { WebSocketClient } from "../../../live/support/web-socket-client.ts";
import { configure } from "../../records/configuration/configuration.ts";

const ROLES = { ops: "Operator", both: ["Operator", "Auditor"], admins: "Admin", ghosts: "No such role" };
const PROJECTS = {
  "shop-team": "shop:editor",
  "shop-leads": ["shop:owner", "desk:viewer"],
  "shop-guests": "shop:viewer",
  "by-name": "Front: desk:editor",
  ghosts: ["nowhere:owner", "shop:emperor", "shop", ":owner"],
};

/** Signs in with these groups: what a sign-in with a provider does in its transaction. */
function signIn(
  prism: TestPrism,
  userId: string,
  groups: readonly string[],
  { source = "oidc:company", roles = ROLES as object, projects = PROJECTS as object } = {},
): Promise<boolean> {
  const rights = { userId, source, roles: { ...roles }, projects: { ...projects } };
  return prism.services.db.write((trx) => applyGroups(prism.parts.offers.accounts, rights, groups, trx));
}

const outcomeOf = ({ status, body }: Reply): string => {
  const { error } = body as { error?: { code: string } };
  return error ? `${status} ${error.code}` : String(status);
};

async function setUp(t: TestContext) {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const { body: desk } = await prism.post<Project>("/api/v1/projects", { name: "Front: desk", slug: "desk" });
  const grace = await makeUser(prism, "grace");
  const as = { token: grace.token };
  /** The role in a project and who gives it; undefined: no member. */
  const roleIn = async (projectId: string, userId = grace.id) => {
    const { body } = await answered(200, prism.get<ProjectMemberPage>(`/api/v1/projects/${projectId}/members`));
    const member = body.data.find((each) => each.userId === userId);
    return member && [member.role, member.source];
  };
  const user = async () => (await answered(200, prism.get<User>(`/api/v1/users/${grace.id}`))).body;
  const members = `/api/v1/projects/${shop.id}/members`;
  return { prism, shop, desk, grace, as, roleIn, user, members };
}

test("groups give roles and memberships; the strongest role counts; the next request and sockets follow", async (t) => {
  const { prism, shop, desk, grace, as, roleIn, user } = await setUp(t);
  const events = `/api/v1/events?projectId=${shop.id}`;
  assert.equal(outcomeOf(await prism.get(events, as)), "404 PROJECT_NOT_FOUND");
  assert.equal(await signIn(prism, grace.id, ["others"]), false, "no role yet");
  assert.equal(await signIn(prism, grace.id, ["both", "shop-guests", "shop-leads", "shop-team"]), true);
  assert.deepEqual(await roleIn(shop.id), ["owner", "oidc:company"]);
  assert.deepEqual(await roleIn(desk.id), ["viewer", "oidc:company"]);
  const { roles, roleSources } = await user();
  assert.deepEqual(roles, ["Auditor", "Operator"]);
  assert.deepEqual(roleSources, { Auditor: "oidc:company", Operator: "oidc:company" });
  assert.equal((await prism.get(events, as)).status, 200);
  assert.equal((await prism.get("/api/v1/audit", as)).status, 200);

  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, grace.token);
  assert.equal((await socket.ask({ op: "subscribe", id: "1", stream: `project:${shop.id}` }))["op"], "subscribed");
  assert.equal(await signIn(prism, grace.id, ["ops"]), true);
  assert.deepEqual(await socket.end, { code: 4403, reason: "forbidden" });
  assert.equal(outcomeOf(await prism.get(events, as)), "404 PROJECT_NOT_FOUND");
  assert.equal(outcomeOf(await prism.get("/api/v1/audit", as)), "403 UNAUTHORIZED_ROLE");
  assert.deepEqual([await roleIn(shop.id), await roleIn(desk.id)], [undefined, undefined]);
  assert.deepEqual((await user()).roles, ["Operator"]);

  await signIn(prism, grace.id, ["by-name"]);
  assert.deepEqual(await roleIn(desk.id), ["editor", "oidc:company"], "a project by its name");
  assert.equal(await signIn(prism, grace.id, []), false);

  const audited = rowsOf<{ action: string; metadata: string }>(
    prism,
    `select action, metadata from audit_log where metadata like '%${grace.id}%' or resourceId = '${grace.id}' order by seq`,
  ).map(({ action, metadata }) => [action, (JSON.parse(metadata) as { source?: string }).source]);
  assert.deepEqual(audited.slice(1), [
    ["user.update", "oidc:company"],
    ["member.add", "oidc:company"],
    ["member.add", "oidc:company"],
    ["user.update", "oidc:company"],
    ["member.remove", "oidc:company"],
    ["member.remove", "oidc:company"],
    ["user.update", "oidc:company"],
    ["member.add", "oidc:company"],
    ["member.remove", "oidc:company"],
  ]);
});

test("an API key of a member ends with the group, as when a person removes the member", async (t) => {
  const { prism, shop, grace, as } = await setUp(t);
  await signIn(prism, grace.id, ["shop-leads"]);
  const { body } = await answered(
    201,
    prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, { name: "mine" }, as),
  );
  const ingest = () => prism.post("/api/v1/events", { type: "a" }, { apiKey: body.key });
  assert.equal((await ingest()).status, 202);
  await signIn(prism, grace.id, ["shop-guests"]);
  assert.equal(outcomeOf(await ingest()), "403 SCOPE_MISSING");
  await signIn(prism, grace.id, []);
  assert.equal(outcomeOf(await ingest()), "401 INVALID_API_KEY");
});

test("groups take away only what they gave: a person's gift stays, weaker, the same or stronger", async (t) => {
  const { prism, shop, grace, roleIn, members, user } = await setUp(t);
  for (const c of [
    { byHand: "viewer", group: "shop-team", both: ["editor", "oidc:company"] },
    { byHand: "editor", group: "shop-team", both: ["editor", null] },
    { byHand: "owner", group: "shop-team", both: ["owner", null] },
  ])
    await t.test(`${c.byHand} by hand, editor by a group`, async () => {
      await answered(201, prism.post(members, { userId: grace.id, role: c.byHand }));
      await signIn(prism, grace.id, [c.group]);
      assert.deepEqual(await roleIn(shop.id), c.both);
      await signIn(prism, grace.id, []);
      assert.deepEqual(await roleIn(shop.id), [c.byHand, null]);
      await prism.delete(`${members}/${grace.id}`);
      assert.equal(await roleIn(shop.id), undefined);
    });
  await answered(200, prism.patch(`/api/v1/users/${grace.id}`, { roles: ["Operator"] }));
  await signIn(prism, grace.id, ["both"]);
  assert.deepEqual((await user()).roleSources, { Auditor: "oidc:company" });
  await signIn(prism, grace.id, []);
  assert.deepEqual((await user()).roles, ["Operator"]);
});

test("what two providers give ends with the last of them", async (t) => {
  const { prism, shop, grace, roleIn, user } = await setUp(t);
  const other = { source: "oidc:other" };
  await signIn(prism, grace.id, ["ops", "shop-guests"]);
  await signIn(prism, grace.id, ["ops", "shop-team"], other);
  assert.deepEqual(await roleIn(shop.id), ["editor", "oidc:other"]);
  await signIn(prism, grace.id, [], other);
  assert.deepEqual([await roleIn(shop.id), (await user()).roles], [["viewer", "oidc:company"], ["Operator"]]);
  await signIn(prism, grace.id, []);
  assert.deepEqual([await roleIn(shop.id), (await user()).roles], [undefined, []]);
});

test("a person changes nothing that only groups give: refused with the provider's name; more may be given", async (t) => {
  const { prism, shop, grace, as, roleIn, members, user } = await setUp(t);
  await signIn(prism, grace.id, ["ops", "shop-team"]);
  const of = `${members}/${grace.id}`;
  for (const [name, attempt] of Object.entries({
    "a weaker role": () => prism.patch(of, { role: "viewer" }),
    "a weaker role by adding": () => prism.post(members, { userId: grace.id, role: "viewer" }),
    "removing the member": () => prism.delete(of),
    "leaving the project": () => prism.delete(`${members}/me`, as),
    "fewer roles": () => prism.patch(`/api/v1/users/${grace.id}`, { roles: ["Auditor"] }),
  }))
    await t.test(name, async () => {
      const reply = await attempt();
      assert.equal(outcomeOf(reply), "409 RIGHTS_FROM_GROUPS");
      assert.match(
        (reply.body as { error: { message: string } }).error.message,
        /from a group of company: change the group there, or unlink/,
      );
      assert.deepEqual([await roleIn(shop.id), (await user()).roles], [["editor", "oidc:company"], ["Operator"]]);
    });
  await t.test("more roles, and a stronger one, become the person's", async () => {
    await answered(200, prism.patch(of, { role: "owner" }));
    await answered(200, prism.patch(`/api/v1/users/${grace.id}`, { roles: ["Operator", "Auditor"] }));
    assert.deepEqual(await roleIn(shop.id), ["owner", null]);
    assert.deepEqual((await user()).roleSources, { Operator: "oidc:company" });
  });
  await t.test("removing what a person gave leaves what groups give", async () => {
    await answered(204, prism.delete(of));
    await answered(200, prism.patch(`/api/v1/users/${grace.id}`, { roles: ["Operator"] }));
    assert.deepEqual([await roleIn(shop.id), (await user()).roles], [["editor", "oidc:company"], ["Operator"]]);
  });
});

test("configuration files neither change nor prune what groups give", async (t) => {
  const { prism, shop, grace, roleIn, user } = await setUp(t);
  await signIn(prism, grace.id, ["ops", "shop-team"]);
  const [ada] = rowsOf<{ username: string }>(
    prism,
    `select username from users join project_members on userId = users.id where role = 'owner' and projectId = '${shop.id}'`,
  );
  const owner = { [ada?.username ?? ""]: "owner" };
  const apply = (members: object, roles: string[]) =>
    configure(prism, "apply", [
      ["members", "shop", { ...owner, ...members }],
      ["people", null, { username: "grace", roles }],
    ]);
  await answered(200, apply({}, ["Auditor"]));
  assert.deepEqual(await roleIn(shop.id), ["editor", "oidc:company"]);
  assert.deepEqual((await user()).roleSources, { Auditor: "file", Operator: "oidc:company" });
  const { changes } = (await answered(200, apply({}, ["Auditor"]))).body;
  assert.deepEqual(changes, [], "no difference remains");

  const refused = await apply({ grace: "viewer" }, ["Auditor"]);
  assert.match(refused.text, /RIGHTS_FROM_GROUPS.*from a group of company/);
  await answered(200, apply({ grace: "owner" }, ["Auditor", "Operator"]));
  assert.deepEqual(await roleIn(shop.id), ["owner", "file"]);
  await signIn(prism, grace.id, []);
  assert.deepEqual(
    [await roleIn(shop.id), (await user()).roles],
    [
      ["owner", "file"],
      ["Auditor", "Operator"],
    ],
  );
  await answered(200, apply({}, []));
  assert.deepEqual([await roleIn(shop.id), (await user()).roles], [undefined, []]);
});

test("the last administrator and the last owner keep what a group no longer gives", async (t) => {
  const { prism, shop, grace, as, roleIn, user } = await setUp(t);
  await signIn(prism, grace.id, ["admins", "shop-leads"]);
  const { body: dev } = await prism.get<User>("/api/v1/users/me");
  await answered(200, prism.patch(`/api/v1/users/${dev.id}`, { roles: ["User"] }, as));
  await answered(200, prism.delete(`/api/v1/projects/${shop.id}/members/${dev.id}`, as));
  assert.equal(await signIn(prism, grace.id, ["shop-guests"]), true);
  assert.deepEqual((await prism.get<User>(`/api/v1/users/${grace.id}`, as)).body.roles, ["Admin"]);
  await answered(200, prism.patch(`/api/v1/users/${dev.id}`, { roles: ["Admin"] }, as));
  assert.deepEqual(await roleIn(shop.id), ["owner", "oidc:company"]);
  await answered(201, prism.post(`/api/v1/projects/${shop.id}/members`, { userId: dev.id, role: "owner" }, as));
  await signIn(prism, grace.id, ["shop-guests"]);
  assert.deepEqual([(await user()).roles, await roleIn(shop.id)], [[], ["viewer", "oidc:company"]]);
});

test("names that do not exist are left out, and members of objects are no groups", async (t) => {
  const { prism, shop, desk, grace, roleIn, user } = await setUp(t);
  assert.equal(await signIn(prism, grace.id, ["ghosts", "constructor", "__proto__", "toString"]), false);
  assert.deepEqual([await roleIn(shop.id), await roleIn(desk.id), (await user()).roles], [undefined, undefined, []]);
});

test("names that do not exist are problems of doctor and the overview, and the sign-in goes on", async (t) => {
  const prism = await startPrism(t, {
    settings: {
      ...{ "auth.proxyHeader.name": "Remote-User", "auth.proxyHeader.from": "127.0.0.1" },
      "auth.proxyHeader.secret": "a secret of the proxy",
      "auth.proxyHeader.roles": JSON.stringify(ROLES),
      "auth.proxyHeader.projects": JSON.stringify(PROJECTS),
    },
  });
  const shop = await makeProject(prism);
  await prism.post("/api/v1/projects", { name: "Front: desk", slug: "desk" });
  await prism.post("/api/v1/projects", { name: "Front: desk", slug: "other" });
  const texts = async () =>
    (await signInFindings(prism.parts.base.config, prism.services.db.read)).map(({ text }) => text);
  assert.deepEqual(await texts(), [
    "groups of proxy:remote-user give what does not exist: the role No such role, the membership Front: desk:editor, " +
      "the membership nowhere:owner, the membership shop:emperor, the membership shop, the membership :owner",
  ]);
  const { text } = await answered(200, prism.get("/api/v1/attention"));
  assert.match(text, /groups of proxy:remote-user give what does not exist/);
  const { id } = await makeUser(prism, "grace");
  assert.equal(await signIn(prism, id, ["ghosts", "ops", "shop-team"], { source: "proxy:remote-user" }), true);
  const { body } = await prism.get<ProjectMemberPage>(`/api/v1/projects/${shop.id}/members`);
  assert.equal(body.data.find(({ userId }) => userId === id)?.source, "proxy:remote-user");
});

test("approving an account keeps the roles of its groups", async (t) => {
  const { prism, user, grace } = await setUp(t);
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "pending" }).where("id", "=", grace.id).execute(),
  );
  await signIn(prism, grace.id, ["ops"]);
  await answered(200, prism.post(`/api/v1/users/${grace.id}/approve`, { roles: ["Auditor"] }));
  assert.deepEqual((await user()).roles, ["Auditor", "Operator"]);
});

test("a deleted role with holders by a group is reassigned with its source", async (t) => {
  const { prism, user, grace } = await setUp(t);
  const { body: role } = await answered(
    201,
    prism.post<{ id: string }>("/api/v1/roles", { name: "Platform", permissions: ["events:read"] }),
  );
  const auditor = rowsOf<{ id: string }>(prism, "select id from roles where name = 'Auditor'")[0]?.id;
  await signIn(prism, grace.id, ["p"], { roles: { p: "Platform" } });
  await answered(204, prism.delete(`/api/v1/roles/${role.id}?reassignTo=${auditor}`));
  assert.deepEqual((await user()).roleSources, { Auditor: "oidc:company" });
  await signIn(prism, grace.id, []);
  assert.deepEqual((await user()).roles, []);
});

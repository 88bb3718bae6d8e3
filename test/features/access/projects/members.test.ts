import assert from "node:assert/strict";
import test from "node:test";
import type { ProjectMemberPage as Page } from "../../../../src/client/api-types.gen.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";

interface Member {
  userId: string;
  username: string | null;
  role: string;
  error?: { code: string };
}
test("owners add members, change their roles and remove them; every member sees who belongs", async (t) => {
  const prism = await startPrism(t);
  const owner = await makeUser(prism, "owner", ["Operator"]);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, { token: owner.token });
  const path = `/api/v1/projects/${shop.id}/members`;
  const as = { token: owner.token };
  const events = `/api/v1/events?projectId=${shop.id}`;
  assert.equal((await prism.get(events, { token: uma.token })).status, 404);

  const added = await prism.post<Member>(path, { userId: "uma", role: "viewer" }, as);
  assert.deepEqual(
    [added.status, added.body.userId, added.body.username, added.body.role],
    [201, uma.id, "uma", "viewer"],
  );
  assert.equal((await prism.get(events, { token: uma.token })).status, 200, "from the next request on");
  const write = () => prism.post("/events", { type: "a", projectId: shop.id }, { token: uma.token });
  assert.equal((await write()).status, 403);
  assert.equal((await prism.patch<Member>(`${path}/${uma.id}`, { role: "editor" }, as)).body.role, "editor");
  assert.equal((await write()).status, 202);
  const again = await prism.post<Member>(path, { userId: uma.id, role: "viewer" }, as);
  assert.deepEqual([again.status, again.body.role], [201, "viewer"], "who is a member gets the role");

  const { body: list } = await prism.get<Page>(path, { token: uma.token });
  assert.deepEqual(rowsWith(list.data, "username", "role"), [
    ["owner", "owner"],
    ["uma", "viewer"],
  ]);
  const first = (await prism.get<Page>(`${path}?limit=1&page=1`, as)).body;
  assert.deepEqual([first.data.length, first.total], [1, 2]);
  const rest = (await prism.get<Page>(`${path}?limit=1&cursor=${first.nextCursor}`, as)).body;
  assert.deepEqual([rest.data[0]?.username, rest.nextCursor], ["uma", null]);

  assert.equal((await prism.delete(`${path}/${uma.id}`, as)).status, 204);
  assert.equal((await prism.get(events, { token: uma.token })).status, 404);
  assert.equal((await prism.delete<Member>(`${path}/${uma.id}`, as)).body.error?.code, "USER_NOT_FOUND");
  assert.equal((await prism.get(path, { token: vic.token })).status, 404);
  const audited = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where action like 'member.%' order by seq",
  );
  const rows = audited.map(({ action, metadata }) => [action, JSON.parse(metadata)]);
  assert.deepEqual(rows, [
    ["member.add", { userId: uma.id, role: "viewer" }],
    ["member.update", { userId: uma.id, role: "editor" }],
    ["member.update", { userId: uma.id, role: "viewer" }],
    ["member.remove", { userId: uma.id }],
  ]);
});

test("a project keeps at least one owner who is active", async (t) => {
  const prism = await startPrism(t);
  const owner = await makeUser(prism, "owner", ["Operator"]);
  const uma = await makeUser(prism, "uma");
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, { token: owner.token });
  const path = `/api/v1/projects/${shop.id}/members`;
  const as = { token: owner.token };
  for (const attempt of [
    () => prism.delete<Member>(`${path}/${owner.id}`, as),
    () => prism.patch<Member>(`${path}/${owner.id}`, { role: "editor" }, as),
    () => prism.post<Member>(path, { userId: "me", role: "viewer" }, as),
  ]) {
    const { status, body } = await attempt();
    assert.deepEqual([status, body.error?.code], [409, "LAST_ADMIN"]);
  }
  await prism.post(path, { userId: uma.id, role: "owner" }, as);
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", uma.id).execute(),
  );
  assert.equal((await prism.delete<Member>(`${path}/${owner.id}`, as)).body.error?.code, "LAST_ADMIN");
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "active" }).where("id", "=", uma.id).execute(),
  );
  assert.equal((await prism.delete(`${path}/${owner.id}`, as)).status, 200);
  assert.equal((await prism.get(path, as)).status, 404, "who has left is out");
});

test("a member is meant by id, external id, username, or as oneself", async (t) => {
  const prism = await startPrism(t);
  const owner = await makeUser(prism, "owner", ["Operator"]);
  const uma = await makeUser(prism, "uma");
  await prism.patch(`/api/v1/users/${uma.id}`, { externalId: "crm-7" });
  const { body: shop } = await prism.post<{ id: string }>("/projects", { name: "shop" }, { token: owner.token });
  const path = `/api/v1/projects/${shop.id}/members`;
  const as = { token: owner.token };
  for (const ref of [uma.id, "crm-7", "uma"]) {
    assert.equal((await prism.post<Member>(path, { userId: ref, role: "viewer" }, as)).body.userId, uma.id);
    assert.equal((await prism.patch<Member>(`${path}/${ref}`, { role: "editor" }, as)).body.role, "editor");
    assert.equal((await prism.delete(`${path}/${ref}`, as)).status, 204);
  }
  assert.equal((await prism.patch<Member>(`${path}/me`, { role: "owner" }, as)).body.userId, owner.id);
  assert.equal((await prism.delete<Member>(`${path}/me`, as)).body.error?.code, "LAST_ADMIN");
});

test("only active users can become members", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism, "shop");
  await makeUser(prism, "other", ["Operator"]);
  const path = `/api/v1/projects/${shop.id}/members`;
  for (const { body, status, code } of [
    { body: { userId: "nobody", role: "viewer" }, status: 404, code: "USER_NOT_FOUND" },
    { body: { userId: "other", role: "boss" }, status: 400, code: "VALIDATION_FAILED" },
    { body: { userId: "other" }, status: 400, code: "VALIDATION_FAILED" },
    { body: { role: "viewer" }, status: 400, code: "VALIDATION_FAILED" },
  ]) {
    const reply = await prism.post<Member>(path, body);
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code]);
  }
  assert.equal(rowsOf(prism, "select 1 from users where externalId = 'nobody'").length, 0, "no user is created");
  assert.equal((await prism.patch<Member>(`${path}/nonsense`, { role: "viewer" })).body.error?.code, "USER_NOT_FOUND");
  assert.equal((await prism.get(path, { apiKey: shop.apiKey })).status, 403);
});

test("a founder's project goes to the owner who removes or demotes the founder, and to no one by leaving", async (t) => {
  const prism = await startPrism(t, { settings: { "limits.projectsPerUser": "4" } });
  const vic = await makeUser(prism, "vic", ["User"]);
  const mal = await makeUser(prism, "mal", ["User"]);
  const zoe = await makeUser(prism, "zoe", ["User"]);
  const make = (name: string) => prism.post<{ id: string }>("/projects", { name }, { token: vic.token });
  const projects: { readonly id: string }[] = [];
  for (const name of ["a", "b", "c", "d"]) projects.push((await make(name)).body);
  const membersOf = (at: number) => `/api/v1/projects/${projects[at]?.id}/members`;
  const ownerOf = (at: number) => prism.parts.offers.projects.ownerOf(projects[at]?.id ?? "");
  for (let at = 0; at < 4; at++) {
    assert.equal(ownerOf(at), vic.id);
    for (const { id } of [mal, zoe])
      assert.equal((await prism.post(membersOf(at), { userId: id, role: "owner" })).status, 201);
  }
  assert.equal((await make("e")).status, 409);
  const leaving = await prism.delete(`${membersOf(1)}/me`, { token: vic.token });
  assert.ok([200, 204].includes(leaving.status), leaving.text);
  assert.equal((await prism.patch(`${membersOf(3)}/${vic.id}`, { role: "viewer" }, { token: vic.token })).status, 200);
  assert.deepEqual([ownerOf(1), ownerOf(3)], [vic.id, vic.id], "its limits stay with who made it");
  assert.equal((await make("e")).status, 409);
  assert.equal((await prism.delete(`${membersOf(0)}/${vic.id}`, { token: zoe.token })).status, 200);
  await answered(200, prism.patch(`${membersOf(2)}/${vic.id}`, { role: "viewer" }, { token: zoe.token }));
  assert.deepEqual([ownerOf(0), ownerOf(2)], [zoe.id, zoe.id], "the owner who acts");
  assert.equal((await make("e")).status, 201);
  assert.equal((await prism.delete(`/api/v1/users/${vic.id}`)).status, 204);
  assert.deepEqual([ownerOf(1), ownerOf(3)], [mal.id, mal.id], "the first owner of those who remain");
});

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { matchesPattern } from "../../../../src/features/protocols/ntfy/access.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { answered } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { makePasswordUser, type NtfyClient, startNtfy } from "./support/api.ts";

const ACCESS = "/api/v1/ntfy/access";

/** As `ntfy access <user> <topic> <permission>`. */
async function allow(prism: TestPrism, user: string, topic: string, permission: string, more: object = {}) {
  await answered(200, prism.put(ACCESS, { user, topic, permission, ...more }));
}

const read = async (ntfy: NtfyClient, topics: string, auth: string | null) =>
  (await ntfy.send("GET", `/${topics}/json?poll=1`, { auth })).status;
const write = async (ntfy: NtfyClient, topic: string, auth: string | null) =>
  (await ntfy.send("PUT", `/${topic}`, { auth, body: "test" })).status;

test("N-07: ntfy's TestServer_Auth_Success_User_MultipleTopics: each of several topics needs the right", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const ben = await makePasswordUser(prism, "ben", ["User"]);
  await allow(prism, "ben", "mytopic", "read-write");
  await allow(prism, "ben", "anothertopic", "read-write");
  const { status, text } = await ntfy.send("GET", "/mytopic,anothertopic/auth", { auth: ben.basic });
  assert.deepEqual([status, text], [200, '{"success":true}']);
  const refused = await ntfy.send("GET", "/mytopic,anothertopic,NOT-THIS-ONE/auth", { auth: ben.basic });
  assert.deepEqual([refused.status, refused.body.code], [403, 40301]);
  assert.equal(await read(ntfy, "mytopic,anothertopic,NOT-THIS-ONE", ben.basic), 403);
});

test("N-07: ntfy's TestServer_Auth_Fail_Unauthorized: a right on one topic is none on another", async (t) => {
  const ntfy = await startNtfy(t);
  const ben = await makePasswordUser(ntfy.prism, "ben", ["User"]);
  await allow(ntfy.prism, "ben", "sometopic", "read-write");
  const { status, body } = await ntfy.send("GET", "/mytopic/auth", { auth: ben.basic });
  assert.deepEqual([status, body.code], [403, 40301]);
});

test("N-07: ntfy's TestServer_Auth_Fail_CannotPublish: rights of everyone, beside an open server", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.anonymous": "read-write" } });
  const { prism } = ntfy;
  const phil = await makePasswordUser(prism, "phil", ["Admin"]);
  await allow(prism, "everyone", "private", "none");
  await allow(prism, "*", "announcements", "read");
  assert.equal(await write(ntfy, "mytopic", null), 200);
  assert.equal(await read(ntfy, "mytopic", null), 200);
  const refused = await ntfy.send("PUT", "/announcements", { auth: null, body: "test" });
  assert.deepEqual([refused.status, refused.body.code], [403, 40301], "cannot write as not allowed");
  assert.equal(await write(ntfy, "announcements", phil.basic), 200, "administrators may");
  assert.equal(await read(ntfy, "announcements", null), 200);
  assert.equal(await read(ntfy, "private", null), 403);
});

test("N-07: a plain account does not read the topic of another one; a right by pattern lets it, without membership", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const [anna, bob] = [await makePasswordUser(prism, "anna", ["User"]), await makePasswordUser(prism, "bob", ["User"])];
  assert.equal(await write(ntfy, "backup-nas", anna.basic), 200);
  assert.equal(await read(ntfy, "backup-nas", bob.basic), 403);
  await allow(prism, "bob", "backup-*", "read");
  assert.equal(await read(ntfy, "backup-nas", bob.basic), 200);
  assert.equal(await write(ntfy, "backup-nas", bob.basic), 403, "his own right is before that of his role");
  assert.equal(await write(ntfy, "other", bob.basic), 200);
  const listed = await prism.get<{ data: { name: string }[] }>("/api/v1/ntfy/topics", { token: bob.token });
  assert.deepEqual(valuesOf(listed.body.data, "name"), ["backup-nas"]);
  const own = await prism.get<{ data: { topic: string; permission: string }[] }>(ACCESS, { token: bob.token });
  const shown = own.body.data.map(({ topic, permission }) => `${topic} ${permission}`);
  assert.deepEqual(shown, ["backup-* read"]);
});

test("N-07: on a server that was upgraded everyone reads and writes the topics of default until a right says otherwise", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const [ann, ben] = [await makePasswordUser(prism, "ann", ["User"]), await makePasswordUser(prism, "ben", ["User"])];
  assert.deepEqual([await write(ntfy, "news", ann.basic), await read(ntfy, "news", ben.basic)], [200, 403]);
  // As the migration of an existing server stores it.
  await prism.services.db.write((trx) =>
    trx.insertInto("settings").values({ key: "projects.defaultOpen", value: 1, updatedAt: 1 }).execute(),
  );
  await prism.restart();
  assert.deepEqual([await write(ntfy, "news", ann.basic), await read(ntfy, "news", ben.basic)], [200, 200]);
  await allow(prism, "everyone", "*", "none");
  assert.deepEqual([await write(ntfy, "news", ann.basic), await read(ntfy, "news", ben.basic)], [403, 403]);
});

test("a new topic of a person who writes to one project only is in that project; with several it must be chosen", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const ben = await makePasswordUser(prism, "ben", []);
  const [shop, web] = [await makeProject(prism, "shop"), await makeProject(prism, "web")];
  const join = (id: string) => prism.post(`/api/v1/projects/${id}/members`, { userId: ben.id, role: "editor" });
  const projectOf = (name: string) => rowsOf(prism, `select projectId from ntfy_topics where name = '${name}'`);
  assert.equal(await write(ntfy, "first", ben.basic), 403);
  await join(shop.id);
  assert.equal(await write(ntfy, "first", ben.basic), 200);
  assert.deepEqual(projectOf("first"), [{ projectId: shop.id }]);
  await join(web.id);
  assert.equal(await write(ntfy, "second", ben.basic), 403, "which of the two is not known");
  await answered(201, prism.post("/api/v1/ntfy/topics", { name: "second", kind: "messages", projectId: web.id }, ben));
  assert.equal(await write(ntfy, "second", ben.basic), 200);
  assert.deepEqual(projectOf("second"), [{ projectId: web.id }]);
});

test("a pattern of another project's owner does not take the new topics of a person who writes to default", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const carol = await makePasswordUser(prism, "carol");
  const shop = await makeProject(prism, "shop");
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: carol.id, role: "viewer" });
  await allow(prism, "carol", "*", "read-write", { projectId: shop.id });
  await allow(prism, "carol", "shop-door", "read-write", { projectId: shop.id });
  const { defaultProjectId } = prism.parts.offers;
  for (const [name, projectId] of [
    ["backups", defaultProjectId],
    ["shop-door", shop.id],
  ] as const) {
    assert.equal(await write(ntfy, name, carol.basic), 200, name);
    assert.deepEqual(rowsOf(prism, `select projectId from ntfy_topics where name = '${name}'`), [{ projectId }], name);
  }
});

test("a user's own right is before everyone's, and a longer pattern before a shorter one", async (t) => {
  const ntfy = await startNtfy(t, { settings: { "ntfy.anonymous": "read-write" } });
  const { prism } = ntfy;
  const bob = await makePasswordUser(prism, "bob", ["User"]);
  await allow(prism, "everyone", "*", "none");
  await allow(prism, "everyone", "news-*", "read");
  await allow(prism, "bob", "*", "write");
  await allow(prism, "bob", "news-secret", "none");
  const both = async (topic: string, auth: string | null) => [
    await read(ntfy, topic, auth),
    await write(ntfy, topic, auth),
  ];
  assert.deepEqual(await both("any", null), [403, 403]);
  assert.deepEqual(await both("news-a", null), [200, 403]);
  assert.deepEqual(await both("any", bob.basic), [403, 200]);
  assert.deepEqual(await both("news-a", bob.basic), [403, 200]);
  assert.deepEqual(await both("news-secret", bob.basic), [403, 403]);
  const { body: made } = await prism.post<{ key: string }>("/api/v1/projects/default/keys", {});
  assert.deepEqual(await both("any", `Bearer ${made.key}`), [200, 200], "keys are the owner's");
  await prism.restart();
  assert.deepEqual(await both("news-a", bob.basic), [403, 200], "from the table");
});

test("a right that ends cuts the streams that rely on it, at once", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const bob = await makePasswordUser(prism, "bob", ["User"]);
  await allow(prism, "bob", "backup-*", "read");
  const reset = () => prism.delete(`${ACCESS}?user=bob&topic=backup-*`);
  const [stream, socket] = [
    await ntfy.stream(t, "/backup-nas/json", { auth: bob.basic }),
    ntfy.socket(t, "/backup-nas/ws", { auth: bob.basic }),
  ];
  await socket.opened();
  await ntfy.publish("backup-nas", "one");
  await eventually("both hear", () => stream.messages.length === 1 && socket.messages.length === 1);
  assert.equal((await reset()).status, 204);
  await eventually("both are cut", () => stream.state === "cut" && socket.closed !== null);
  await ntfy.publish("backup-nas", "two");
  assert.deepEqual([stream.messages.length, socket.messages.length], [1, 1]);
  assert.equal((await reset()).status, 404, "it is gone");
  await allow(prism, "bob", "backup-*", "read");
  const again = await ntfy.stream(t, "/backup-nas/json", { auth: bob.basic });
  await prism.delete(`/api/v1/users/${bob.id}`);
  await eventually("cut with the account", () => again.state === "cut");
  assert.equal(countOf(prism, "ntfy_access"), 0);
});

test("a project's owner gives rights to members; others and everyone need users:read; removal ends them", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const shop = await makeProject(prism);
  const members = `/api/v1/projects/${shop.id}/members`;
  const olga = await makePasswordUser(prism, "olga", ["User"]);
  const vic = await makePasswordUser(prism, "vic", ["User"]);
  const eve = await makePasswordUser(prism, "eve", ["User"]);
  await prism.post(members, { userId: olga.id, role: "owner" });
  await prism.post(members, { userId: vic.id, role: "viewer" });
  const put = (token: string, user: string, permission = "read-write") =>
    prism.put(ACCESS, { projectId: shop.id, user, topic: "till", permission }, { token });
  for (const user of ["eve", "nobody-of-this-name", "everyone"])
    assert.equal((await put(olga.token, user)).status, 403, user);
  assert.equal((await put(vic.token, "vic")).status, 403, "viewers give none");
  assert.equal((await put(eve.token, "eve")).status, 404);
  assert.equal((await put(olga.token, "vic")).status, 200);
  assert.equal(await write(ntfy, "till", vic.basic), 200, "the topic is made in the project of the right");
  assert.deepEqual(rowsOf(prism, "select projectId from ntfy_topics where name = 'till'"), [{ projectId: shop.id }]);
  assert.equal((await put(prism.adminToken, "eve", "read")).status, 200);
  assert.equal(await read(ntfy, "till", eve.basic), 200, "without membership");
  assert.equal((await prism.get(`/api/v1/events?projectId=${shop.id}`, { token: eve.token })).status, 404);
  assert.equal((await prism.delete(`${members}/${vic.id}`)).status, 204);
  assert.equal(await read(ntfy, "till", vic.basic), 403);
  const list = await prism.get<{ data: { username: string }[] }>(`${ACCESS}?projectId=shop&topic=till`);
  assert.deepEqual(valuesOf(list.body.data, "username"), ["eve"]);
});

test("a service token has a right on a topic only with the scope", async (t) => {
  const ntfy = await startNtfy(t);
  const { prism } = ntfy;
  const bob = await makeUser(prism, "bob", ["Viewer"]);
  await allow(prism, "bob", "news", "read-write");
  const tokenWith = async (...scopes: string[]) => {
    const reply = await prism.post<{ token: string }>(
      "/api/v1/users/me/tokens",
      { name: "t", scopes },
      { token: bob.token },
    );
    return `Bearer ${reply.body.token}`;
  };
  const reader = await tokenWith("events:read");
  assert.deepEqual([await read(ntfy, "news", reader), await write(ntfy, "news", reader)], [200, 403]);
  const other = await tokenWith("tasks:own");
  assert.deepEqual([await read(ntfy, "news", other), await write(ntfy, "news", other)], [403, 403]);
});

test("a pattern matches as the same regular expression does", () => {
  const word = fc.stringMatching(/^[ab]{0,6}$/);
  fc.assert(
    fc.property(fc.stringMatching(/^[ab*]{1,6}$/), word, (pattern, name) => {
      const expected = new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(name);
      assert.equal(matchesPattern(pattern, name), expected);
    }),
  );
});

import assert from "node:assert/strict";
import test from "node:test";
import type { Rule } from "../../src/client/api-types.gen.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";

const RULE = { name: "first", condition: "event.type == 'x'", targetUsers: ["me"] };

test("S3-14: a resource with a version answers its ETag, and 304 to who has it already", async (t) => {
  keepsPromise(t, "S3-14");
  const prism = await startPrism(t);
  const made = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${made.body.id}`;
  assert.equal(made.headers.get("etag"), '"1"');
  assert.equal((await prism.get(path)).headers.get("etag"), '"1"');
  for (const [field, status] of [
    ['"1"', 304],
    ['W/"1"', 304],
    ['"0", "1"', 304],
    ["*", 304],
    ['"2"', 200],
    ["1", 200],
    ['"1', 200],
    ['"11"', 200],
    ["", 200],
  ] as const) {
    await t.test(`If-None-Match: ${field} is ${status}`, async () => {
      for (const method of ["GET", "HEAD"]) {
        const reply = await prism.request(method, path, undefined, { headers: { "If-None-Match": field } });
        assert.equal(reply.status, status);
        assert.equal(reply.headers.get("etag"), '"1"');
        if (status === 304)
          assert.deepEqual([reply.text, reply.headers.get("cache-control")], ["", "private, no-cache"]);
      }
    });
  }
});

test("an answer with members that no version counts has another tag when they change; If-Match takes it all the same", async (t) => {
  const prism = await startPrism(t);
  const editor = await makeUser(prism, "editor");
  const shop = await makeProject(prism, "shop");
  const project = `/api/v1/projects/${shop.id}`;
  await prism.post(`${project}/members`, { userId: editor.id, role: "editor" });
  const { body: rule } = await prism.post<Rule>("/api/v1/rules", { ...RULE, projectId: shop.id });
  for (const { path, changes } of [
    {
      path: `/api/v1/rules/${rule.id}`,
      changes: { "it matched": () => prism.post("/events", { type: "x" }, { apiKey: shop.apiKey }) },
    },
    {
      path: project,
      changes: {
        "an event came": () => prism.post("/events", { type: "y" }, { apiKey: shop.apiKey }),
        "a key was made": () => prism.post(`${project}/keys`, {}),
      },
    },
  ])
    for (const [what, change] of Object.entries(changes))
      await t.test(`${path.slice(8, 13)}: ${what}`, async () => {
        const seen = async (tag?: string, token?: string) =>
          prism.get<Rule>(path, {
            ...(tag === undefined ? {} : { headers: { "If-None-Match": tag } }),
            ...(token === undefined ? {} : { token }),
          });
        const before = await seen();
        const tag = before.headers.get("etag") ?? "";
        assert.equal((await seen(tag)).status, 304);
        await change();
        const after = await seen(tag);
        assert.equal(after.status, 200);
        assert.notDeepEqual(after.body, before.body);
        const newTag = after.headers.get("etag") ?? "";
        assert.equal((await seen(newTag)).status, 304);
        const { version } = after.body;
        for (const [ifMatch, status] of [
          [tag, 200],
          [`"${version + 1}"`, 200],
          [newTag, 412],
          [`"${version + 3}.x"`, 412],
          [`W/"${version + 2}.x"`, 412],
        ] as const) {
          const reply = await prism.patch<Rule>(path, { name: "n" }, { headers: { "If-Match": ifMatch } });
          assert.equal(reply.status, status, ifMatch);
        }
      });
  await t.test("another caller's answer is another one", async () => {
    const own = (await prism.get(project)).headers.get("etag") ?? "";
    const theirs = await prism.get(project, { token: editor.token, headers: { "If-None-Match": own } });
    assert.deepEqual([theirs.status, theirs.body["role"]], [200, "editor"]);
  });
});

test("a write is never answered 304, whatever If-None-Match says", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  for (const [method, version] of [
    ["PUT", 2],
    ["PATCH", 3],
  ] as const) {
    const headers = { "If-None-Match": `"${version}"` };
    const reply = await prism.request<Rule>(method, `/api/v1/rules/${body.id}`, { name: `by ${method}` }, { headers });
    assert.deepEqual([reply.status, reply.body.version], [200, version]);
  }
});

test("If-Match of another version is answered 412 VERSION_CONFLICT and changes nothing; without it the last write wins", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  let version = 1;
  for (const [field, isTaken] of [
    ['"1"', true],
    ['"1"', false],
    ["*", true],
    ['"7", "3"', true],
    ['W/"4"', false],
    ["4", false],
    ['""', false],
    [undefined, true],
  ] as const) {
    await t.test(`If-Match: ${field} at version ${version}`, async () => {
      const headers: Record<string, string> = field === undefined ? {} : { "If-Match": field };
      const reply = await prism.put<Rule & { error?: { code: string } }>(
        path,
        { name: `after ${version}` },
        { headers },
      );
      if (isTaken) assert.deepEqual([reply.status, reply.body.version], [200, ++version]);
      else assert.deepEqual([reply.status, reply.body.error?.code], [412, "VERSION_CONFLICT"]);
      assert.equal((await prism.get<Rule>(path)).body.version, version);
    });
  }
});

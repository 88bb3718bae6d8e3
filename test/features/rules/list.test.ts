import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";

interface Page {
  data: { id: string; name: string; priority: number }[];
  nextCursor: string | null;
  total?: number;
  error?: { code: string };
}

const list = (prism: TestPrism, query = "", token?: string) =>
  prism.get<Page>(`/api/v1/rules${query}`, token === undefined ? {} : { token });
const names = ({ data }: Page) => data.map(({ name }) => name);

async function make(prism: TestPrism, rule: Record<string, unknown>, token?: string): Promise<string> {
  const body = { condition: "event.type == 'x'", targetUsers: ["me"], ...rule };
  const reply = await prism.post<{ id: string }>("/api/v1/rules", body, token === undefined ? {} : { token });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.id;
}

test("S2-23: rules are listed newest first, and each filter leaves what it says", async (t) => {
  keepsPromise(t, "S2-23");
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const rum = await makeUser(prism, "rum", ["Admin"]);
  await make(prism, { name: "alpha", description: "100% sure", targetRoles: ["Operator"] });
  await make(prism, { name: "beta", active: false, projectId: shop.id });
  await make(prism, { name: "Gamma_1", targetRoles: ["Auditor", "Operator"], priority: 5 }, rum.token);
  await make(prism, { name: "delta", projectId: "default" });
  for (const { query, found } of [
    { query: "", found: ["delta", "Gamma_1", "beta", "alpha"] },
    { query: "?active=true", found: ["delta", "Gamma_1", "alpha"] },
    { query: "?active=false", found: ["beta"] },
    { query: "?q=GAMMA", found: ["Gamma_1"] },
    { query: "?q=100%25", found: ["alpha"] },
    { query: "?q=_", found: ["Gamma_1"] },
    { query: "?q=%25", found: ["alpha"] },
    { query: "?q=nothing", found: [] },
    { query: "?projectId=shop", found: ["beta"] },
    { query: "?projectId=default", found: ["delta"] },
    { query: `?createdBy=${rum.id}`, found: ["Gamma_1"] },
    { query: "?targetRole=operator", found: ["Gamma_1", "alpha"] },
    { query: "?targetRole=Boss", found: [] },
    { query: "?targetRole=Operator&active=true&q=a", found: ["Gamma_1", "alpha"] },
    { query: "?sort=name", found: ["Gamma_1", "alpha", "beta", "delta"] },
    { query: "?sort=-priority", found: ["Gamma_1", "delta", "beta", "alpha"] },
    { query: "?sort=createdAt", found: ["alpha", "beta", "Gamma_1", "delta"] },
  ]) {
    await t.test(query, async () => {
      const { body } = await answered(200, list(prism, query));
      const isTied = query.includes("priority");
      assert.deepEqual(isTied ? [names(body)[0], names(body).length] : names(body), isTied ? [found[0], 4] : found);
      const paged = await list(prism, `${query}${query === "" ? "?" : "&"}limit=1&page=1`);
      assert.equal(paged.body.total, found.length);
    });
  }
  for (const { query, status } of [
    { query: "?sort=condition", status: 400 },
    { query: "?active=1", status: 400 },
    { query: "?createdBy=rum", status: 400 },
    { query: "?projectId=none", status: 404 },
    { query: "?cursor=e30", status: 400 },
  ])
    assert.equal((await list(prism, query)).status, status, query);
});

test("joined pages give each rule once in every order, though many are equal in it", async (t) => {
  const prism = await startPrism(t);
  for (let p = 0; p < 6; p++) {
    const { body: project } = await prism.post<{ id: string }>("/api/v1/projects", { name: `p${p}` });
    for (let i = 0; i < 4; i++) await make(prism, { name: `r${i}`, priority: i % 3, projectId: project.id });
  }
  const all = (await list(prism, "?limit=100")).body.data.map(({ id }) => id).sort();
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom("name", "priority", "createdAt", "updatedAt"),
      fc.boolean(),
      async (limit, field, descending) => {
        const sort = descending ? `-${field}` : field;
        const seen: Page["data"] = [];
        let cursor = "";
        do {
          const { body } = await list(prism, `?limit=${limit}&sort=${sort}${cursor}`);
          seen.push(...body.data);
          cursor = body.nextCursor === null ? "" : `&cursor=${body.nextCursor}`;
        } while (cursor !== "");
        assert.deepEqual(seen.map(({ id }) => id).sort(), all);
        const keys = seen.map((rule) => (field === "name" ? rule.name : field === "priority" ? rule.priority : 0));
        const sorted = keys.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
        assert.deepEqual(keys, descending ? sorted.reverse() : sorted);
      },
    ),
    { numRuns: 25 },
  );
  const byName = (await list(prism, "?limit=1&sort=name")).body.nextCursor;
  const mixed = await list(prism, `?limit=1&sort=priority&cursor=${byName}`);
  assert.deepEqual([mixed.status, mixed.body.error?.code], [400, "INVALID_CURSOR"]);
});

test("S2-22: who may see, make, change and delete which rules", async (t) => {
  keepsPromise(t, "S2-22");
  const prism = await startPrism(t);
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const people = {
    admin: { token: prism.adminToken },
    manager: await makeUser(prism, "manager", ["RuleManager"]),
    viewer: await makeUser(prism, "viewer", ["Viewer"]),
    user: await makeUser(prism, "user", ["User"]),
    owner: await makeUser(prism, "owner", ["User"]),
    editor: await makeUser(prism, "editor", ["User"]),
    onlooker: await makeUser(prism, "onlooker", []),
    managingMember: await makeUser(prism, "managing", ["RuleManager"]),
    managingEditor: await makeUser(prism, "managing-editor", ["RuleManager"]),
  };
  for (const [person, role] of [
    [people.owner, "owner"],
    [people.editor, "editor"],
    [people.onlooker, "viewer"],
    [people.managingMember, "viewer"],
    [people.managingEditor, "editor"],
  ] as const)
    await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: person.id, role });
  const rules = {
    global: await make(prism, { name: "global" }),
    ofDefault: await make(prism, { name: "ofDefault", projectId: "default" }),
    ofShop: await make(prism, { name: "ofShop", projectId: "shop" }),
  };
  type Who = keyof typeof people;
  // `writes`: changes and deletes. `makes`: as `writes`, unless said.
  const rows: Record<Who, { sees: string; writes: string; makes?: string }> = {
    admin: { sees: "global ofDefault ofShop", writes: "global ofDefault ofShop" },
    manager: { sees: "global ofDefault", writes: "global ofDefault", makes: "ofDefault" },
    viewer: { sees: "global ofDefault", writes: "" },
    user: { sees: "", writes: "" },
    owner: { sees: "ofShop", writes: "ofShop" },
    editor: { sees: "ofShop", writes: "" },
    onlooker: { sees: "", writes: "" },
    // In the shop only the role of the member counts.
    managingMember: { sees: "global ofDefault", writes: "global ofDefault", makes: "ofDefault" },
    managingEditor: { sees: "global ofDefault ofShop", writes: "global ofDefault", makes: "ofDefault" },
  };
  for (const [who, { sees, writes, makes = writes }] of Object.entries(rows)) {
    await t.test(who, async () => {
      const { token } = people[who as Who];
      const listed = await list(prism, "?sort=name&limit=100", token);
      if (sees === "") assert.deepEqual([listed.status, listed.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
      else assert.deepEqual(names(listed.body), sees.split(" "));
      for (const [name, id] of Object.entries(rules)) {
        const isSeen = sees.split(" ").includes(name);
        const isWritable = writes.split(" ").includes(name);
        const path = `/api/v1/rules/${id}`;
        assert.equal((await prism.get(path, { token })).status, isSeen ? 200 : 404, `${who} reads ${name}`);
        const changed = await prism.put(path, { priority: 1 }, { token });
        assert.equal(changed.status, isWritable ? 200 : isSeen ? 403 : 404, `${who} changes ${name}`);
        if (!isWritable) assert.equal((await prism.delete(path, { token })).status, isSeen ? 403 : 404);
        const projectId = { global: null, ofDefault: "default", ofShop: "shop" }[name] ?? null;
        const copy = { name: "copy", condition: "event.type == 'y'", targetUsers: ["me"], projectId };
        const made = await prism.post<{ id: string }>("/api/v1/rules", copy, { token });
        assert.equal(
          made.status === 201,
          makes.split(" ").includes(name),
          `${who} makes a rule like ${name}: ${made.status}`,
        );
        if (made.status === 201)
          assert.equal((await prism.delete(`/api/v1/rules/${made.body.id}`, { token })).status, 204);
      }
    });
  }
  const { body } = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "keyed" });
  assert.equal((await prism.get("/api/v1/rules", { apiKey: body.apiKey })).status, 403, "API keys manage no rules");
  assert.equal((await list(prism, "", undefined)).status, 200);
  assert.equal((await prism.get("/api/v1/rules", { token: null })).status, 401);
});

import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { makeUser } from "../../helpers/people.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { openBeside } from "../../helpers/store.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";

type Rule = Record<string, unknown> & { id: string; version: number; error?: { code: string } };

const RULE = { name: "r", condition: "event.type == 'x'", targetUsers: ["me"] };

test("S2-25: PUT and PATCH change the members that are given and leave the others", async (t) => {
  keepsPromise(t, "S2-25");
  const prism = await startPrism(t);
  for (const method of ["PUT", "PATCH"]) {
    await t.test(method, async () => {
      const { body: before } = await prism.post<Rule>("/api/v1/rules", {
        ...RULE,
        name: `old ${method}`,
        targetRoles: ["Auditor"],
        action: { type: "open" },
        priority: 3,
      });
      const path = `/api/v1/rules/${before.id}`;
      const change = {
        name: `new ${method}`,
        condition: "event.n > 1",
        active: false,
        action: null,
        targetUsers: [],
      };
      const { status, headers, body } = await prism.request<Rule>(method, path, change);
      assert.deepEqual([status, headers.get("etag")], [200, '"2"']);
      const { updatedAt, ...shown } = body;
      const { updatedAt: _u, ...old } = before;
      assert.deepEqual(shown, { ...old, ...change, version: 2 });
      assert.ok(String(updatedAt) >= String(before["createdAt"]));
      assert.deepEqual((await prism.get<Rule>(path)).body, body);
    });
  }
});

test("If-Match holds a change to the version the client has seen; without it the last write wins", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  const change = (tag?: string) =>
    prism.put<Rule>(path, { priority: 1 }, tag === undefined ? {} : { headers: { "If-Match": tag } });
  assert.equal((await change('"1"')).body.version, 2);
  const stale = await change('"1"');
  assert.deepEqual([stale.status, stale.body.error?.code], [412, "VERSION_CONFLICT"]);
  assert.equal((await change("*")).body.version, 3);
  assert.equal((await change()).body.version, 4);
  const both = await Promise.all([change('"4"'), change('"4"')]);
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412], "of two at once one wins");
  const unchanged = await answered(304, prism.get(path, { headers: { "If-None-Match": '"5"' } }));
  assert.equal(unchanged.headers.get("cache-control"), "private, no-cache");
});

test("a refused change leaves the rule as it was", async (t) => {
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  for (const { change, code } of [
    { change: { condition: "nonsense" }, code: "INVALID_CONDITION" },
    { change: { titleTemplate: "{{" }, code: "INVALID_TEMPLATE" },
    { change: { targetRoles: ["Boss"] }, code: "ROLE_NOT_FOUND" },
    { change: { projectId: "none" }, code: "PROJECT_NOT_FOUND" },
    { change: { targetUsers: [] }, code: "VALIDATION_FAILED" },
    { change: { version: 7 }, code: "VALIDATION_FAILED" },
    { change: { createdBy: null }, code: "VALIDATION_FAILED" },
  ])
    assert.equal((await prism.put<Rule>(path, change)).body.error?.code, code, JSON.stringify(change));
  assert.deepEqual((await prism.get<Rule>(path)).body, body);
  assert.equal(countOf(prism, "rule_versions"), 1);
});

test("changes at the same time are decided one on top of the other, each for its caller, and refused alone", async (t) => {
  const prism = await startPrism(t);
  const rum = await makeUser(prism, "rum", ["Admin"]);
  const made = await Promise.all(["a", "b"].map((name) => prism.post<Rule>("/api/v1/rules", { ...RULE, name })));
  const ids = made.map(({ body }) => body.id);
  const sent = Array.from({ length: 24 }, (_, n) => {
    // Some are refused, and some have a pattern, which commits alone.
    const change = [{ condition: "nonsense" }, { condition: `matches(event.type, '^x${n}')` }][n % 6] ?? {
      priority: n,
    };
    return { id: ids[n % 2] ?? "", change, by: n % 4 < 2 ? rum.id : null };
  });
  const replies = await Promise.all(
    sent.map(({ id, change, by }) =>
      prism.patch<Rule>(`/api/v1/rules/${id}`, change, by === null ? {} : { token: rum.token }),
    ),
  );
  assert.deepEqual(
    replies.map(({ status, body }) => body.error?.code ?? status),
    sent.map((_, n) => (n % 6 === 0 ? "INVALID_CONDITION" : 200)),
  );
  const changed = replies.flatMap(({ status, body }, n) => (status === 200 ? [{ body, by: sent[n]?.by }] : []));
  for (const id of ids) {
    const rows = rowsOf(
      prism,
      `select version, createdBy = '${rum.id}' as isByRum, definition ->> 'priority' as priority, definition ->> 'condition' as condition
         from rule_versions where ruleId = '${id}' and version > 1 order by version`,
    );
    const own = changed.filter(({ body }) => body.id === id).sort((a, b) => a.body.version - b.body.version);
    assert.deepEqual(
      rows,
      own.map(({ body, by }, at) => {
        const { priority, condition } = body;
        return { version: at + 2, priority, condition, isByRum: by === rum.id ? 1 : 0 };
      }),
    );
  }
  assert.equal(scalarOf(prism, "select count(*) from audit_log where action = 'rule.update'"), changed.length);
});

test("what stays is not asked about again: a rule can be changed after one of its users was disabled", async (t) => {
  const prism = await startPrism(t);
  const user = await makeUser(prism, "uma");
  const { body } = await prism.post<Rule>("/api/v1/rules", { ...RULE, targetUsers: ["uma", "me"] });
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ status: "disabled" }).where("id", "=", user.id).execute(),
  );
  prism.rightsChanged();
  const path = `/api/v1/rules/${body.id}`;
  const renamed = await prism.put<Rule>(path, { name: "new", targetRoles: ["Admin"] });
  assert.deepEqual([renamed.status, renamed.body["targetUsers"]], [200, body["targetUsers"]]);
  const named = await prism.put<Rule>(path, { targetUsers: [user.id] });
  assert.deepEqual([named.status, named.body.error?.code], [422, "RECIPIENT_NOT_FOUND"]);
});

test("a rule that moves to a project must reach its users there", async (t) => {
  const prism = await startPrism(t);
  await makeUser(prism, "uma");
  await prism.post("/api/v1/projects", { name: "shop" });
  const { body } = await prism.post<Rule>("/api/v1/rules", { ...RULE, targetUsers: ["uma"] });
  const path = `/api/v1/rules/${body.id}`;
  const moved = await prism.put<Rule>(path, { projectId: "shop" });
  assert.deepEqual([moved.status, moved.body.error?.code], [422, "RECIPIENT_NOT_FOUND"]);
  assert.equal((await prism.put(path, { projectId: "shop", targetUsers: ["me"] })).status, 200);
  assert.equal((await prism.put<Rule>(path, { projectId: null })).body["projectId"], null);
});

test("each version of a rule is kept with who made it", async (t) => {
  const prism = await startPrism(t);
  const rum = await makeUser(prism, "rum", ["Admin"]);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  await prism.put(path, { name: "second" }, { token: rum.token });
  await prism.put(path, { name: "third" });
  type Versions = {
    data: { version: number; definition: Rule; createdBy: string }[];
    nextCursor: string | null;
    total?: number;
  };
  const { body: page } = await prism.get<Versions>(`${path}/versions`);
  const rows = page.data.map(({ version, definition }) => [version, definition["name"]]);
  assert.deepEqual(rows, [
    [3, "third"],
    [2, "second"],
    [1, "r"],
  ]);
  assert.equal(page.data[1]?.createdBy, rum.id);
  const {
    id: _i,
    version: _v,
    createdBy: _c,
    createdAt: _a,
    updatedAt: _u,
    stats: _s,
    soundUrl: _l,
    broken: _b,
    warnings: _w,
    ...definition
  } = body;
  assert.deepEqual(page.data[2]?.definition, definition);
  const first = await prism.get<Versions>(`${path}/versions?limit=2`);
  const rest = await prism.get<Versions>(`${path}/versions?limit=2&cursor=${first.body.nextCursor}`);
  assert.deepEqual([...first.body.data, ...rest.body.data], page.data);
  assert.equal(rest.body.nextCursor, null);
  assert.equal((await prism.get<Versions>(`${path}/versions?page=1`)).body.total, 3);
});

test("S2-26: a deleted rule is gone for clients, and stays for what refers to it", async (t) => {
  keepsPromise(t, "S2-26");
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  const path = `/api/v1/rules/${body.id}`;
  await prism.post("/api/v1/events", { type: "x" });
  assert.deepEqual([(await prism.delete(path)).status, (await prism.delete(path)).status], [204, 404]);
  for (const gone of [path, `${path}/versions`, `${path}/stats`])
    assert.equal((await prism.get<Rule>(gone)).body.error?.code, "RULE_NOT_FOUND");
  assert.equal((await prism.put(path, { name: "x" })).status, 404);
  assert.equal((await prism.get<{ data: unknown[] }>("/api/v1/rules")).body.data.length, 0);
  assert.deepEqual(rowsOf(prism, "select name, active, deletedAt is not null as gone from rules"), [
    { name: "r", active: 0, gone: 1 },
  ]);
  assert.deepEqual([countOf(prism, "decisions"), countOf(prism, "notifications")], [1, 1]);
});

test("S2-133: rule, version and audit row are one transaction", async (t) => {
  keepsPromise(t, "S2-133");
  const prism = await startPrism(t);
  const { body } = await prism.post<Rule>("/api/v1/rules", RULE);
  await prism.put(`/api/v1/rules/${body.id}`, { name: "new" });
  await prism.delete(`/api/v1/rules/${body.id}`);
  assert.deepEqual(
    rowsOf(
      prism,
      "select action, resourceId, metadata, requestId is not null as hasRequest from audit_log where resourceType = 'rule' order by seq",
    ),
    [
      { action: "rule.create", resourceId: body.id, metadata: '{"version":1}', hasRequest: 1 },
      { action: "rule.update", resourceId: body.id, metadata: '{"version":2}', hasRequest: 1 },
      { action: "rule.delete", resourceId: body.id, metadata: '{"version":2}', hasRequest: 1 },
    ],
  );

  const beside = openBeside(t, join(prism.dir, "prism.db"));
  beside.exec("create trigger refuse before insert on audit_log begin select raise(abort, 'refused'); end");
  const failed = await prism.post<Rule>("/api/v1/rules", { ...RULE, name: "never" });
  assert.deepEqual([failed.status, failed.body.error?.code], [500, "INTERNAL"]);
  assert.equal(scalarOf(prism, "select count(*) from rules where name = 'never'"), 0);
  assert.equal(countOf(prism, "rule_versions"), 2);
  await prism.post("/api/v1/events", { type: "x" });
  assert.equal(countOf(prism, "decisions"), 0, "the rule that was rolled back is not in force either");
  beside.exec("drop trigger refuse");
  assert.equal((await prism.post("/api/v1/rules", RULE)).status, 201);
});

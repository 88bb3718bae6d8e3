import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import type { AuditRow as Row } from "../../../../src/client/api-types.gen.ts";
import { auditRow } from "../../../../src/features/records/audit/audit-log.ts";
import { makeUser } from "../../../helpers/people.ts";
import { TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";

interface Page {
  data: Row[];
  page: number | null;
  limit: number;
  total?: number;
  nextCursor: string | null;
  error?: { code: string };
}

const PATH = "/api/v1/audit";
let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

const list = (query = "") => prism.get<Page>(PATH + query);
const at = (ms: number) => new Date(ms).toISOString();

test("S2-13 a row says what was done to what, by whom, from where, when, and by which request", async (t) => {
  keepsPromise(t, "S2-13");
  const { body: rule } = await prism.post<{ id: string }>(
    "/api/v1/rules",
    { name: "r", condition: "true", targetUsers: ["me"] },
    { headers: { "X-Request-Id": "request-13" } },
  );
  const { body } = await list("?requestId=request-13");
  const [row] = body.data;
  const { devUserId } = prism.parts.offers;
  assert.ok(row);
  assert.deepEqual(
    { ...row, seq: 0, id: "", timestamp: "", prevHash: "", hash: "" },
    {
      seq: 0,
      id: "",
      action: "rule.create",
      userId: devUserId,
      actor: { type: "user", id: devUserId },
      resourceType: "rule",
      resourceId: rule.id,
      resourceName: "r",
      metadata: row.metadata,
      ip: "127.0.0.1",
      requestId: "request-13",
      timestamp: "",
      prevHash: "",
      hash: "",
      actorName: "Developer",
    },
  );
  assert.match(row.id, /^[0-9a-f-]{36}$/);
  assert.match(row.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.match(`${row.prevHash}${row.hash}`, /^[0-9a-f]{128}$/);
  assert.equal(body.data.length, 1);
});

test("S2-53 the trail is filtered by time, user, action, kind of resource, resource and request", async (t) => {
  keepsPromise(t, "S2-53");
  // Ahead of all other rows of this file.
  const start = Date.now() + 3_600_000;
  const made: [action: string, userId: string | null, type: string, id: string, request: string][] = [
    ["rule.create", "u1", "rule", "r1", "q1"],
    ["rule.update", "u1", "rule", "r1", "q2"],
    ["rules.fake", "u1", "rule", "r2", "q3"],
    ["key.create", "u2", "apiKey", "k1", "q4"],
    ["key.revoke", null, "apiKey", "k1", "q5"],
  ];
  await prism.parts.base.database.write(async (trx) => {
    for (const [n, [action, userId, resourceType, resourceId, requestId]] of made.entries())
      prism.parts.base.database.audit(trx, {
        ...auditRow({ action, resourceType, resourceId }, start + n * 1000),
        userId,
        requestId,
      });
  });
  const bounds = `from=${at(start)}&to=${at(start + 60_000)}`;
  for (const { query, found } of [
    { query: bounds, found: ["key.revoke", "key.create", "rules.fake", "rule.update", "rule.create"] },
    { query: `from=${at(start + 1000)}&to=${at(start + 3000)}`, found: ["rules.fake", "rule.update"] },
    { query: `from=${at(start + 1000).replace("Z", "%2B00:00")}&to=${at(start + 1001)}`, found: ["rule.update"] },
    { query: `${bounds}&userId=u1`, found: ["rules.fake", "rule.update", "rule.create"] },
    { query: "userId=u2", found: ["key.create"] },
    { query: `${bounds}&action=rule.create`, found: ["rule.create"] },
    { query: `${bounds}&action=rule.*`, found: ["rule.update", "rule.create"] },
    { query: `${bounds}&action=rule`, found: ["rules.fake", "rule.update", "rule.create"] },
    { query: `${bounds}&action=rule.up*`, found: ["rule.update"] },
    { query: `${bounds}&action=rul`, found: ["rules.fake", "rule.update", "rule.create"] },
    { query: `${bounds}&action=key.*`, found: ["key.revoke", "key.create"] },
    { query: "resourceType=apiKey", found: ["key.revoke", "key.create"] },
    { query: `${bounds}&resourceType=rule&userId=u1&action=rule.update`, found: ["rule.update"] },
    { query: "resourceId=r2", found: ["rules.fake"] },
    { query: "requestId=q5", found: ["key.revoke"] },
    { query: `from=${at(start + 60_000)}`, found: [] },
    { query: `to=${at(start - 86_400_000)}`, found: [] },
    { query: "userId=nobody", found: [] },
  ])
    await t.test(query, async () => {
      const { status, body } = await list(`?${query}`);
      assert.deepEqual([status, body.data.map(({ action }) => action)], [200, found]);
      assert.equal((await list(`?${query}&page=1&limit=1`)).body.total, found.length);
    });
});

test("joined pages give every row once, newest first, also while rows are added", async () => {
  await prism.parts.base.database.write(async (trx) => {
    for (let n = 0; n < 50; n++) prism.parts.base.database.audit(trx, auditRow({ action: "page.test" }, Date.now()));
  });
  const all = rowsOf<{ seq: number }>(prism, "select seq from audit_log order by seq desc").map(({ seq }) => seq);
  const seen: number[] = [];
  let cursor: string | null = null;
  do {
    const { body }: { body: Page } = await list(`?limit=7${cursor ? `&cursor=${cursor}` : ""}`);
    seen.push(...body.data.map(({ seq }) => seq));
    assert.deepEqual([body.limit, body.page, body.total], [7, cursor === null ? 1 : null, undefined]);
    cursor = body.nextCursor;
    await prism.parts.base.audit.record({ action: "page.added" });
  } while (cursor);
  assert.deepEqual(seen, all);
  const second = await list("?action=page.test&page=2&limit=20");
  assert.deepEqual([second.body.data.length, second.body.page, second.body.total], [20, 2, 50]);
  const third = await list("?action=page.test&offset=40&limit=20");
  assert.deepEqual([third.body.data.length, third.body.total], [10, 50]);
  assert.equal((await list("?limit=1000")).status, 200);
});

test("notifications are left out if asked for, and resources have names for those who may read them", async () => {
  const auditor = await makeUser(prism, "auditor", ["Auditor"]);
  const { body: role } = await prism.post<{ id: string }>("/api/v1/roles", {
    name: "Trail",
    permissions: ["audit:read"],
  });
  assert.ok(role.id);
  const reader = await makeUser(prism, "reader", ["Trail"]);
  const { body: rule } = await prism.post<{ id: string }>("/api/v1/rules", {
    ...{ name: "Disk is full", condition: "true", targetUsers: ["auditor"] },
  });
  const { body: shop } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const { body: policy } = await prism.post<{ id: string }>("/api/v1/policies", {
    ...{ name: "Night", projectId: shop.id, steps: [{ type: "resolve" }] },
  });
  const sent = await prism.post<{ id: string }>("/api/v1/notifications", {
    ...{ userId: "auditor", title: "Look here", message: "now" },
  });
  const names = async (id: string, token?: string) => {
    const { body } = await prism.get<Page>(`${PATH}?resourceId=${id}`, token === undefined ? {} : { token });
    return [...new Set(body.data.map(({ resourceName }) => resourceName))];
  };
  for (const [id, name] of [
    [rule.id, "Disk is full"],
    [policy.id, "Night"],
    [auditor.id, "auditor"],
    [sent.body.id, "Look here"],
  ] as const) {
    assert.deepEqual(await names(id), [name]);
    assert.deepEqual(await names(id, reader.token), [null], "the trail alone does not show names");
  }
  await prism.delete(`/api/v1/policies/${policy.id}`);
  assert.equal((await list("?action=notification.*&limit=1")).body.data.length, 1);
  const { data } = (await list("?notifications=false&limit=1000")).body;
  assert.ok(data.some(({ action }) => action === "policy.delete"));
  assert.equal(data.filter(({ action }) => action.startsWith("notification.")).length, 0);
});

test("an unknown filter is refused", async (t) => {
  for (const query of [
    "from=yesterday",
    "to=2026-01-01",
    "action=*",
    "action=Rule.create",
    "action=rule.create'--",
    "limit=1001",
    "limit=0",
    "page=0",
    "page=1&cursor=x",
    "sort=action",
    "user=u1",
  ])
    await t.test(query, async () => {
      const { status, body } = await list(`?${query}`);
      assert.deepEqual([status, body.error?.code], [400, "VALIDATION_FAILED"]);
    });
  assert.equal((await list("?cursor=AAAA")).body.error?.code, "INVALID_CURSOR");
});

test("a row has the name of the user who acted, for callers who may read users", async () => {
  const ann = await makeUser(prism, "ann", ["Admin"]);
  await prism.post("/api/v1/projects", { name: "anns" }, { token: ann.token });
  const names = async (token: string) => {
    const { body } = await prism.get<{ data: { actorName?: string | null }[] }>(`${PATH}?userId=${ann.id}`, { token });
    return body.data.map(({ actorName }) => actorName);
  };
  assert.deepEqual([...new Set(await names(ann.token))], ["ann"]);
  await prism.post("/api/v1/roles", { name: "Reader", permissions: ["audit:read"] });
  const reader = await makeUser(prism, "rita", ["Reader"]);
  assert.deepEqual([...new Set(await names(reader.token))], [undefined]);
});

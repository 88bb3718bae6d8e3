import assert from "node:assert/strict";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { rowsOf, scalarOf } from "../helpers/tables.ts";
import { rowCounts } from "../http/support/row-counts.ts";

const HOSTILE = [
  "' or 1=1 --",
  `" or ""="`,
  "'; drop table events; --",
  "x' union select hash from api_keys --",
  "1); delete from users; --",
  "%' or type like '%",
  "\\' or 1=1 --",
  "' || (select hash from service_tokens) || '",
] as const;

const FILTERS = [
  "/events?source=",
  "/events?type=",
  "/events?level=",
  "/events?projectId=",
  "/events?cursor=",
  "/events?afterSeq=",
  "/notifications?ruleId=",
  "/notifications?status=",
  "/notifications?userId=",
  "/notifications/missed?since=",
  "/rules?q=",
  "/rules?sort=",
  "/rules?targetRole=",
  "/rules?projectId=",
  "/audit?userId=",
  "/audit?action=",
  "/audit?resourceType=",
  "/audit?resourceId=",
  "/audit?requestId=",
  "/projects?limit=",
  "/messages?with=",
  "/messages?userId=",
  "/messages?status=",
  "/messages?cursor=",
] as const;

const PATHS = [
  "/events/:x",
  "/rules/:x",
  "/notifications/:x",
  "/notifications/user/:x",
  "/projects/:x",
  "/messages/:x",
] as const;

test("S2-95 S4-38 anything in a filter, a path or a body is a value and never SQL", async (t) => {
  const prism = await startPrism(t);
  await prism.post("/api/v1/rules", { name: "r", condition: "true", targetUsers: ["me"] });
  await prism.post("/api/v1/events", { type: "a", source: "s" });
  const tables = () => rowsOf(prism, "select name, sql from sqlite_schema order by name");
  const before = [rowCounts(prism), tables()];

  await t.test("in filters: nothing is found, or the value is refused", async () => {
    for (const filter of FILTERS)
      for (const hostile of HOSTILE) {
        const reply = await prism.get<{ data?: unknown[] }>(`/api/v1${filter}${encodeURIComponent(hostile)}`);
        const what = `${filter}${hostile}: ${reply.text}`;
        assert.ok([200, 400, 404, 422].includes(reply.status), what);
        if (reply.status === 200) assert.deepEqual(reply.body.data, [], what);
        assert.doesNotMatch(reply.text, /SQLITE|syntax error|no such (column|table)/i);
      }
  });

  await t.test("in paths: not found", async () => {
    for (const path of PATHS)
      for (const hostile of HOSTILE) {
        const { status } = await prism.get(`/api/v1${path.replace(":x", encodeURIComponent(hostile))}`);
        assert.equal(status, 404, `${path} ${hostile}`);
      }
  });

  assert.deepEqual([rowCounts(prism), tables()], before);

  await t.test("in bodies: it is stored as it came", async () => {
    for (const hostile of HOSTILE) {
      const body = { type: "a", source: hostile, dedupeKey: hostile, payload: { [hostile]: hostile } };
      const { status, body: made } = await prism.post<{ id: string }>("/api/v1/events", body);
      assert.equal(status, 202);
      const [row] = rowsOf<Record<string, string>>(prism, "select * from events where id = ?", made.id);
      assert.deepEqual(
        [row?.["source"], row?.["dedupeKey"], JSON.parse(row?.["payload"] ?? "")],
        [hostile, hostile, { [hostile]: hostile }],
      );
      const found = await prism.get<{ data: unknown[] }>(`/api/v1/events?source=${encodeURIComponent(hostile)}`);
      assert.equal(found.body.data.length, 1);
      const rule = await prism.post<{ id: string }>("/api/v1/rules", {
        name: hostile,
        condition: "event.type == 'never'",
        targetUsers: ["me"],
      });
      assert.equal(scalarOf(prism, "select name from rules where id = ?", rule.body.id), hostile);
    }
    assert.deepEqual(tables(), before[1]);
  });
});

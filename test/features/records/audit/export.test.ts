import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { csvRecords } from "../../../../src/core/text/csv.ts";
import { AUDIT_COLUMNS, auditRow } from "../../../../src/features/records/audit/audit-log.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered, TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";

const PATH = "/api/v1/audit/export";
let prism: TestPrism;

before(async () => {
  prism = await TestPrism.start();
});
after(() => prism.stop());

type Line = Readonly<Record<string, string>>;

/** The lines of a CSV text below its header, by column. */
async function lines(text: string): Promise<Line[]> {
  const records: string[][] = [];
  const chunks = (async function* () {
    yield text;
  })();
  for await (const record of csvRecords(chunks)) records.push(record);
  assert.deepEqual(records[0], [...AUDIT_COLUMNS]);
  return records.slice(1).map((cells) => Object.fromEntries(AUDIT_COLUMNS.map((name, i) => [name, cells[i] ?? ""])));
}

test("S2-54 the trail as CSV: RFC 4180, oldest first, every row once, as a file to keep", async (t) => {
  keepsPromise(t, "S2-54");
  await prism.parts.base.database.write(async (trx) => {
    for (let n = 0; n < 2500; n++) prism.parts.base.database.audit(trx, auditRow({ action: "bulk.row" }, Date.now()));
  });
  const { headers, text } = await answered(200, prism.get(PATH));
  assert.equal(headers.get("content-type"), "text/csv; charset=utf-8");
  assert.equal(headers.get("content-disposition"), 'attachment; filename="audit.csv"');
  assert.equal(headers.get("cache-control"), "no-store");
  assert.ok(text.endsWith("\r\n"));
  const stored = rowsOf<Record<string, string | number | null>>(prism, "select * from audit_log order by seq");
  assert.deepEqual(
    await lines(text),
    stored.map((row) =>
      Object.fromEntries(
        AUDIT_COLUMNS.map((name) => [
          name,
          name === "timestamp" ? new Date(Number(row[name])).toISOString() : String(row[name] ?? ""),
        ]),
      ),
    ),
  );
});

test("an export is itself in the trail, with who asked and by which filters, before the first line goes out", async () => {
  const { id, token } = await makeUser(prism, "exporter", ["Auditor"]);
  const { text } = await prism.get(`${PATH}?action=audit.export&resourceType=audit`, { token });
  const [line] = (await lines(text)).slice(-1);
  assert.deepEqual(
    [line?.["userId"], JSON.parse(line?.["metadata"] ?? "")],
    [id, { filters: ["action", "resourceType"] }],
  );
  const { token: other } = await makeUser(prism, "not-allowed", ["Operator"]);
  const rows = countOf(prism, "audit_log");
  assert.equal((await prism.get(PATH, { token: other })).status, 403);
  assert.equal((await prism.get(`${PATH}?page=1`)).status, 400);
  assert.equal(countOf(prism, "audit_log"), rows, "what is refused is not recorded as done");
});

test("filters are those of the list", async () => {
  const start = Date.now() + 3_600_000;
  await prism.parts.base.database.write(async (trx) => {
    for (const n of [0, 1, 2])
      prism.parts.base.database.audit(
        trx,
        auditRow({ action: `old.${"abc"[n]}`, resourceId: `o${n}` }, start + n * 1000),
      );
  });
  for (const [query, ids] of [
    [`from=${new Date(start + 1000).toISOString()}&to=${new Date(start + 9000).toISOString()}`, ["o1", "o2"]],
    ["action=old.*", ["o0", "o1", "o2"]],
    ["resourceId=o1", ["o1"]],
    ["userId=nobody", []],
  ] as const) {
    const { text } = await prism.get(`${PATH}?${query}`);
    assert.deepEqual(valuesOf(await lines(text), "resourceId"), ids);
  }
});

test("a cell that a spreadsheet would run is disarmed, and quotes and line breaks stay inside theirs", async () => {
  const resourceId = '=HYPERLINK("http://evil","x"),\r\n+1';
  await prism.parts.base.audit.record({ action: "cell.test", resourceType: "@SUM(1)", resourceId });
  await prism.post("/api/v1/projects", { name: "formula" }, { headers: { "X-Request-Id": "-1-cmd" } });
  const { text } = await prism.get(`${PATH}?action=cell.test`);
  const [line] = await lines(text);
  assert.deepEqual([line?.["resourceType"], line?.["resourceId"]], ["'@SUM(1)", `'${resourceId}`]);
  assert.ok(text.includes(`"'=HYPERLINK(""http://evil"",""x""),\r\n+1"`));
  const own = await lines((await prism.get(`${PATH}?requestId=-1-cmd`)).text);
  assert.deepEqual(rowsWith(own, "action", "requestId"), [
    ["project.create", "'-1-cmd"],
    ["key.create", "'-1-cmd"],
  ]);
});

test("an export goes out in gzip where the client takes it", async () => {
  const response = await fetch(`${prism.url}${PATH}?action=cell.test`, {
    headers: { Authorization: `Bearer ${prism.adminToken}`, "Accept-Encoding": "gzip" },
  });
  assert.equal(response.headers.get("content-encoding"), "gzip");
  assert.equal((await lines(await response.text())).length, 1, "fetch has unpacked it");
});

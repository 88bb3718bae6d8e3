import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { csvLine } from "../../src/core/text/csv.ts";

test("a line of CSV quotes what needs it and disarms what a spreadsheet would run", async (t) => {
  for (const { name, cell, text } of [
    { name: "text", cell: "plain", text: "plain" },
    { name: "a comma", cell: "a,b", text: '"a,b"' },
    { name: "a quote", cell: 'a"b', text: '"a""b"' },
    { name: "a line break", cell: "a\nb", text: '"a\nb"' },
    { name: "a carriage return", cell: "a\rb", text: '"a\rb"' },
    { name: "a number", cell: -1.5, text: "-1.5" },
    { name: "a truth value", cell: true, text: "true" },
    { name: "nothing", cell: null, text: "" },
    { name: "an empty text", cell: "", text: "" },
    { name: "a formula", cell: "=cmd|' /C calc'!A0", text: "'=cmd|' /C calc'!A0" },
    { name: "a plus", cell: "+1", text: "'+1" },
    { name: "a minus", cell: "-1", text: "'-1" },
    { name: "an at sign", cell: "@SUM(1)", text: "'@SUM(1)" },
    { name: "a formula in full width", cell: "\uff1d1+1", text: "'\uff1d1+1" },
    { name: "a formula after an ideographic space", cell: "\u3000=1", text: "'\u3000=1" },
    { name: "a tab", cell: "\t=1", text: "'\t=1" },
    { name: "a line break before a formula", cell: "\n=1", text: '"\'\n=1"' },
  ])
    await t.test(name, () => assert.equal(csvLine([cell]), `${text}\r\n`));
});

test("cells that are read back are equal, but for the apostrophe before a formula", () => {
  const cells = fc.array(fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r", "=", "'", "é") }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(cells, (given) => {
      const expected = given.map((text) => (/^[=\n\r]/.test(text) ? `'${text}` : text));
      assert.deepEqual(readLine(csvLine(given)), expected);
    }),
  );
});

/** RFC 4180, one record. */
function readLine(line: string): string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  for (let found = cell.exec(line); found; found = cell.exec(line))
    cells.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? "");
  return cells;
}

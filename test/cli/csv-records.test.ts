import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { csvLine, csvRecords } from "../../src/core/text/csv.ts";

async function read(text: string, cuts: readonly number[] = []): Promise<string[][]> {
  const places = [0, ...[...cuts].sort((a, b) => a - b), text.length];
  const chunks = places.slice(1).map((end, at) => text.slice(places[at], end));
  const records: string[][] = [];
  for await (const record of csvRecords(
    (async function* () {
      yield* chunks;
    })(),
  )) {
    records.push(record);
  }
  return records;
}

test("quoted cells hold commas, quotes and line breaks", async () => {
  assert.deepEqual(await read('a,b\r\n"1,2","say ""hi""\r\nbye"\r\n,\r\n'), [
    ["a", "b"],
    ["1,2", 'say "hi"\r\nbye'],
    ["", ""],
  ]);
});

test("what csvLine writes is read back, wherever the text is cut", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.string(), { minLength: 2, maxLength: 4 }), { maxLength: 5 }),
      fc.array(fc.nat(200), { maxLength: 4 }),
      async (rows, cuts) => {
        const text = rows.map((cells) => csvLine(cells)).join("");
        // A spreadsheet guard is part of what was written.
        const written = rows.map((cells) =>
          cells.map((cell) => (/^(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/.test(cell) ? `'${cell}` : cell)),
        );
        assert.deepEqual(
          await read(
            text,
            cuts.filter((cut) => cut < text.length),
          ),
          written,
        );
      },
    ),
  ));

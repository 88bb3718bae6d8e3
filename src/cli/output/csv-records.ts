import { CsvReader } from "../../core/csv-reader.ts";

/** The cells of each record of CSV that arrives in pieces; the header is the first. */
export async function* csvRecords(chunks: AsyncIterable<string>): AsyncIterable<string[]> {
  const reader = new CsvReader();
  for await (const chunk of chunks) for (const { cells } of reader.push(chunk)) yield cells;
  for (const { cells } of reader.end()) yield cells;
}

/**
 * Reads CSV (RFC 4180) record by record, from text that arrives in pieces. Quoted cells may hold commas, quotes and line breaks.
 * The header is the first record.
 */
export async function* csvRecords(chunks: AsyncIterable<string>): AsyncIterable<string[]> {
  let cells: string[] = [];
  let cell = "";
  /** `quote`: a quote inside a quoted cell, which ends it unless another one follows. */
  let state: "plain" | "quoted" | "quote" = "plain";
  for await (const chunk of chunks) {
    for (const character of chunk) {
      if (state === "quoted") {
        if (character === '"') state = "quote";
        else cell += character;
      } else if (character === '"') {
        if (state === "quote") cell += character;
        state = "quoted";
      } else if (character === ",") {
        cells.push(cell);
        cell = "";
        state = "plain";
      } else if (character === "\n") {
        yield [...cells, cell];
        cells = [];
        cell = "";
        state = "plain";
      } else if (character !== "\r") cell += character;
    }
  }
  if (cells.length > 0 || cell !== "") yield [...cells, cell];
}

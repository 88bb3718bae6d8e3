/** First characters of a formula, in full width too. Some programs skip leading spaces. */
const FORMULA = /^(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/;

/**
 * One line of CSV (RFC 4180). An apostrophe precedes a cell that a spreadsheet would read as a
 * formula (OWASP, "CSV Injection"). Null is an empty cell.
 */
export function csvLine(cells: readonly (string | number | boolean | null)[]): string {
  return `${cells.map(cell).join(",")}\r\n`;
}

/** Undoes the apostrophe of {@link csvLine}. */
export function plainCell(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell;
}

function cell(value: string | number | boolean | null): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export interface CsvRecord {
  readonly cells: string[];
  /** 1-based line on which the record starts. */
  readonly line: number;
}

/**
 * Parses CSV (RFC 4180) from chunks of text. Quoted cells may contain commas, quotes and line
 * breaks. The first record is the header.
 */
export class CsvReader {
  #cells: string[] = [];
  #cell = "";
  /** `quote`: after a quote in a quoted cell, which ends the cell unless another quote follows. */
  #state: "plain" | "quoted" | "quote" = "plain";
  #line = 1;
  #beginsAt = 1;

  /** @returns the records that this chunk completes. */
  push(chunk: string): CsvRecord[] {
    const records: CsvRecord[] = [];
    for (const character of chunk) {
      if (character === "\n") this.#line++;
      if (this.#state === "quoted") {
        if (character === '"') this.#state = "quote";
        else this.#cell += character;
      } else if (character === '"') {
        if (this.#state === "quote") this.#cell += character;
        this.#state = "quoted";
      } else if (character === ",") this.#endCell();
      else if (character === "\n") records.push(this.#endRecord());
      else if (character !== "\r") this.#cell += character;
    }
    return records;
  }

  /** @returns the last record when the text does not end with a line break. */
  end(): CsvRecord[] {
    return this.#cells.length > 0 || this.#cell !== "" ? [this.#endRecord()] : [];
  }

  /** Whether a quoted cell is open: the text is truncated or a quote is missing. */
  get isQuoteOpen(): boolean {
    return this.#state === "quoted";
  }

  /** 1-based line on which the current record starts. */
  get line(): number {
    return this.#beginsAt;
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#state = "plain";
  }

  #endRecord(): CsvRecord {
    this.#endCell();
    const record = { cells: this.#cells, line: this.#beginsAt };
    this.#cells = [];
    this.#beginsAt = this.#line;
    return record;
  }
}

/** The cells of each CSV record from chunks of text; the first record is the header. */
export async function* csvRecords(chunks: AsyncIterable<string>): AsyncIterable<string[]> {
  const reader = new CsvReader();
  for await (const chunk of chunks) for (const { cells } of reader.push(chunk)) yield cells;
  for (const { cells } of reader.end()) yield cells;
}

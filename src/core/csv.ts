/** What begins a formula, also in full width and after spaces, which some programs pass over. */
const FORMULA = /^(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/;

/**
 * One line of CSV (RFC 4180). A cell that a spreadsheet would take for a formula is preceded by an
 * apostrophe (OWASP, "CSV Injection"). Null is an empty cell.
 */
export function csvLine(cells: readonly (string | number | boolean | null)[]): string {
  return `${cells.map(cell).join(",")}\r\n`;
}

/** A cell as it was before {@link csvLine} put an apostrophe before it. */
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
  /** 1-based line on which the record begins. */
  readonly line: number;
}

/**
 * Reads CSV (RFC 4180) record by record, from text that arrives in pieces. Quoted cells may hold
 * commas, quotes and line breaks. The header is the first record.
 */
export class CsvReader {
  #cells: string[] = [];
  #cell = "";
  /** `quote`: a quote inside a quoted cell, which ends it unless another one follows. */
  #state: "plain" | "quoted" | "quote" = "plain";
  #line = 1;
  #beginsAt = 1;

  /** The records that this piece ends. */
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

  /** What is left when no more pieces come: a record without a line break at its end. */
  end(): CsvRecord[] {
    return this.#cells.length > 0 || this.#cell !== "" ? [this.#endRecord()] : [];
  }

  /** Whether a quoted cell is open: the text breaks off in it, or a quote is missing. */
  get isQuoteOpen(): boolean {
    return this.#state === "quoted";
  }

  /** 1-based line on which the record under way begins. */
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

import { stdout } from "node:process";

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
}

/** What a command says: results on stdout, everything else on stderr. */
export class Output {
  readonly json: boolean;
  readonly #quiet: boolean;
  readonly #color: boolean;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.#quiet = options.quiet;
    this.#color = options.color;
  }

  /** The result: `value` as one JSON document with --json, else the lines of `human`. */
  result(value: unknown, human: () => string | readonly string[]): void {
    const text = this.json ? JSON.stringify(value) : [human()].flat().join("\n");
    if (text !== "") stdout.write(`${text}\n`);
  }

  /** One line of a stream of results. */
  line(text: string): void {
    stdout.write(`${text}\n`);
  }

  /** A message for the person at the terminal. */
  note(text: string): void {
    if (!this.#quiet) process.stderr.write(`${text}\n`);
  }

  bold(text: string): string {
    return this.#paint("1", text);
  }

  dim(text: string): string {
    return this.#paint("2", text);
  }

  red(text: string): string {
    return this.#paint("31", text);
  }

  green(text: string): string {
    return this.#paint("32", text);
  }

  yellow(text: string): string {
    return this.#paint("33", text);
  }

  /** A bar of progress on a terminal, for what takes more than a second; silent elsewhere. */
  progress(label: string): Progress {
    return new Progress(label, process.stderr.isTTY === true && !this.#quiet && !this.json);
  }

  #paint(code: string, text: string): string {
    return this.#color ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

const SHOW_AFTER_MS = 1000;
const REDRAW_MS = 100;

export class Progress {
  readonly #label: string;
  readonly #isShown: boolean;
  readonly #startedAt = Date.now();
  #drawnAt = 0;

  constructor(label: string, isShown: boolean) {
    this.#label = label;
    this.#isShown = isShown;
  }

  /** @param total absent when nobody knows. */
  update(done: number, total?: number): void {
    const now = Date.now();
    if (!this.#isShown || now - this.#startedAt < SHOW_AFTER_MS || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const share = total ? ` of ${total} (${Math.floor((done / total) * 100)} %)` : "";
    process.stderr.write(`\r\u001b[K${this.#label}: ${done}${share}`);
  }

  end(): void {
    if (this.#drawnAt > 0) process.stderr.write("\r\u001b[K");
  }
}

/** Columns under their headings, padded; the last one is left as it is. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = [headings, ...rows.map((row) => row.map((cell) => (cell === null ? "-" : String(cell))))];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  "),
  );
}

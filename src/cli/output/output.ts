import { stdout } from "node:process";
import type { Config } from "../../config/load.ts";
import { createLogger, type ReloadableLogger } from "../../config/logger.ts";
import type { Logger } from "../../core/log.ts";
import { printable } from "../../core/text/clean-text.ts";
import { asTyped, localTime } from "./text.ts";

export { printable } from "../../core/text/clean-text.ts";

interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
}

/** The output of a command: results on stdout, everything else on stderr. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #color: boolean;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.#color = options.color;
  }

  /** Prints the result: `value` as one JSON document with --json, otherwise `human`'s lines. */
  result(value: unknown, human: () => string | readonly string[]): void {
    const text = this.json ? JSON.stringify(value) : [human()].flat().join("\n");
    if (text !== "") stdout.write(`${text}\n`);
  }

  /** Repeated {@link result}: a line each with --json; a terminal shows only the latest. */
  frame(value: unknown, human: () => readonly string[]): void {
    const home = stdout.isTTY && !this.json ? "\u001b[H\u001b[J" : "";
    stdout.write(`${home}${this.json ? JSON.stringify(value) : human().join("\n")}\n`);
  }

  /** One line of a stream of results. */
  line(text: string): void {
    stdout.write(`${text}\n`);
  }

  /** A message for the user. */
  note(text: string): void {
    if (!this.quiet) process.stderr.write(`${asTyped(text)}\n`);
  }

  /** A step, for `DEBUG=prism:cli`. */
  trace(fields: Readonly<Record<string, unknown>>, text: string): void {
    cliLog().debug(fields, text);
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

  /** Shows progress on a terminal for work that takes over a second. The caller ends it. */
  progress(label: string): Progress {
    return new Progress(label, process.stderr.isTTY === true && !this.quiet && !this.json);
  }

  #paint(code: string, text: string): string {
    return this.#color ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

const SHOW_AFTER_MS = 1000;
const REDRAW_MS = 200;

/** A progress line on stderr, redrawn while work runs and cleared at its end. */
export class Progress {
  readonly #label: string;
  readonly #startedAt = Date.now();
  readonly #timer: NodeJS.Timeout | null;
  #state = "";
  #isDrawn = false;

  constructor(label: string, isShown: boolean) {
    this.#label = label;
    // Drawn by a timer instead of updates, so that work without a count also shows activity.
    this.#timer = isShown ? setInterval(() => this.#draw(), REDRAW_MS).unref() : null;
  }

  /** @param total undefined if unknown. */
  update(done: number, total?: number): void {
    this.#state = total ? `${done} of ${total} (${Math.floor((done / total) * 100)} %)` : String(done);
  }

  /** Draws at once: for work that blocks the event loop and its timers. */
  show(state: string): void {
    this.#state = state;
    if (this.#timer) this.#write();
  }

  end(): void {
    if (this.#timer) clearInterval(this.#timer);
    if (this.#isDrawn) process.stderr.write("\r\u001b[K");
    this.#isDrawn = false;
  }

  #draw(): void {
    const elapsedMs = Date.now() - this.#startedAt;
    if (elapsedMs >= SHOW_AFTER_MS) this.#write();
  }

  #write(): void {
    const elapsedMs = Date.now() - this.#startedAt;
    this.#isDrawn = true;
    const state = this.#state === "" ? "" : `${this.#state}, `;
    process.stderr.write(`\r\u001b[K${this.#label}: ${state}${Math.floor(elapsedMs / 1000)} s`);
  }
}

/** For progress in whole numbers. */
export function mebibytes(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

/** Padded columns with headings; the last one is not padded. Null is a dash. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = [
    headings,
    ...rows.map((row) => row.map((cell) => (cell === null || cell === "" ? "-" : printable(String(cell))))),
  ];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  "),
  );
}

/** A time in this terminal's zone, to the minute. */
export function shortTime(rfc3339: string | null): string {
  return rfc3339 === null ? "-" : localTime(rfc3339).slice(0, 16);
}

/** A cell that leaves room for the others on a line of 80 characters. */
export function cut(text: string, width = 36): string {
  const clean = printable(text);
  return clean.length <= width ? clean : `${clean.slice(0, width - 1)}…`;
}

/** The log of a long-running command: JSON lines; readable ones on a developer's terminal. */
export function openLog(out: Output, { env, debug, log: { level } }: Config): ReloadableLogger {
  const isForPeople = env === "development" && process.stdout.isTTY === true && !out.json;
  return createLogger({ level, debug, ...(isForPeople ? { destination: prettyLog(out) } : {}) });
}

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly ns: string;
  readonly msg: string;
  readonly err?: { readonly stack?: string };
}

/** Readable log lines for a development server on a terminal. */
function prettyLog(out: Output): { write(line: string): void } {
  const paint: Readonly<Record<string, (text: string) => string>> = {
    error: (text) => out.red(text),
    warn: (text) => out.yellow(text),
    debug: (text) => out.dim(text),
  };
  return {
    write(line) {
      const { time, level, ns, msg, err, ...fields } = JSON.parse(line) as LogLine;
      const colour = paint[level] ?? String;
      const head = `${out.dim(time.slice(11, 23))} ${colour(level.padEnd(5))} ${ns.replace(/^prism:/, "")}`;
      const rest = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
      process.stdout.write(`${[head, printable(msg), out.dim(rest.join(" "))].join("  ").trimEnd()}\n`);
      if (err?.stack) process.stdout.write(`${err.stack}\n`);
    },
  };
}

function shown(value: unknown): string {
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}

let log: Logger | undefined;

/** The command line's log for `DEBUG=prism:cli`: JSON lines on stderr; results are on stdout. */
export function cliLog(): Logger {
  const { DEBUG, PRISM_DEBUG } = process.env;
  const destination = { write: (line: string) => void process.stderr.write(line) };
  log ??= createLogger({ level: "error", debug: PRISM_DEBUG ?? DEBUG, destination }).namespace("cli");
  return log;
}

import type { LogFields, Logger } from "../../src/core/log.ts";

export interface LogLine {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly fields: LogFields;
  readonly message: string;
}

/** A logger that keeps its lines, for tests of log messages. */
export class LogLines implements Logger {
  readonly lines: LogLine[] = [];
  readonly #isDebug: boolean;

  /**
   * @param level "info" as an operator usually has it; lines that cost nothing at that level are
   * kept at each
   */
  constructor(level: "info" | "debug" = "info") {
    this.#isDebug = level === "debug";
  }

  error(fields: LogFields, message: string): void {
    this.lines.push({ level: "error", fields, message });
  }

  warn(fields: LogFields, message: string): void {
    this.lines.push({ level: "warn", fields, message });
  }

  info(fields: LogFields, message: string): void {
    this.lines.push({ level: "info", fields, message });
  }

  debug(fields: LogFields, message: string): void {
    this.lines.push({ level: "debug", fields, message });
  }

  isDebug(): boolean {
    return this.#isDebug;
  }

  namespace(): Logger {
    return this;
  }
}

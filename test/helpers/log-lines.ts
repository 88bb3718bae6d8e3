import type { LogFields, Logger } from "../../src/base/log.ts";

export interface LogLine {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly fields: LogFields;
  readonly message: string;
}

/** A logger that keeps its lines, for tests that ask what an operator would have been told. */
export class LogLines implements Logger {
  readonly lines: LogLine[] = [];

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

  /** As an operator usually has it. */
  isDebug(): boolean {
    return false;
  }

  namespace(): Logger {
    return this;
  }
}

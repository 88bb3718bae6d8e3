import { type Clock, MINUTE_MS } from "./clock.ts";

/** Structured fields of a log line; docs/operating.md lists the fixed names. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * The logger of every part of Prism; created by src/config/logger.ts. Never log a payload, a
 * message's content or a secret.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** Whether debug lines are written. Check it before building expensive fields. */
  isDebug(): boolean;
  /** A logger whose lines carry `ns: "prism:<name>"`; `DEBUG` selects by it. */
  namespace(name: string): Logger;
}

const MAX_CAUSES = 1000;

/** Lets the warning of one cause pass once a minute, where each event may cause it. */
export class Seldom {
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #lastAt = new Map<string, number>();

  constructor(clock: Pick<Clock, "elapsed">) {
    this.#clock = clock;
  }

  passes(cause: string): boolean {
    const now = this.#clock.elapsed();
    const last = this.#lastAt.get(cause);
    if (last !== undefined && now - last < MINUTE_MS) return false;
    if (this.#lastAt.size >= MAX_CAUSES) this.#lastAt.clear();
    this.#lastAt.set(cause, now);
    return true;
  }
}

const nothing = (): void => undefined;

/** For tests, and for commands that print their own messages. */
export const silentLogger: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  isDebug: () => false,
  namespace: () => silentLogger,
};

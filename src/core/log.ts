/**
 * Structured fields of one log line; see docs/operating.md for the fixed names (requestId, route,
 * status, durationMs, …).
 */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * What every part of Prism logs through; made by src/config/logger.ts. Never give it a payload, a
 * message's content or a secret.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** Whether debug lines are written, for places where making the fields would cost something. */
  isDebug(): boolean;
  /** A logger whose lines carry `ns: "prism:<name>"`, the name that `DEBUG` selects by. */
  namespace(name: string): Logger;
}

const nothing = (): void => undefined;

/** For tests and for commands that print their own messages. */
export const silentLogger: Logger = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  isDebug: () => false,
  namespace: () => silentLogger,
};

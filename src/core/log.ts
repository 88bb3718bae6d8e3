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

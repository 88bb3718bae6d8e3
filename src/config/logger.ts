import { writeSync } from "node:fs";
import { types } from "node:util";
import pino, { type DestinationStream, type Logger as Pino } from "pino";
import type { LogFields, Logger } from "../core/log.ts";
import { maskCredentials } from "./option.ts";

/** Limit of log lines buffered for a slow reader; further lines are dropped. */
const MAX_WAITING_BYTES = 262_144;
const RETRY_MS = 50;

/**
 * Writes log lines synchronously and in order, so that the last line before a crash is written. A
 * pipe that is not read must not block the process: lines that do not fit are buffered, above a
 * limit dropped and counted. The next line that is written reports the number of dropped lines.
 */
class LineWriter {
  readonly #fd: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(fd: number) {
    this.#fd = fd;
    // Node opens stdout on first use and then makes the descriptors of pipes and sockets
    // non-blocking.
    if (fd === 1) void process.stdout.writable;
    process.on("exit", () => this.#flush());
  }

  write(line: string): void {
    if (this.#waiting.length > 0) return this.#wait(Buffer.from(line));
    const rest = this.#tryWrite(Buffer.from(line));
    if (rest.length > 0) this.#wait(rest, true);
  }

  /** @param isBegun part of the line is already written, so it must not be dropped. */
  #wait(bytes: Buffer, isBegun = false): void {
    if (!isBegun && this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#timer ??= setInterval(() => this.#flush(), RETRY_MS).unref();
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const rest = this.#tryWrite(next);
      this.#waitingBytes -= next.length - rest.length;
      if (rest.length > 0) {
        this.#waiting[0] = rest;
        return;
      }
      this.#waiting.shift();
    }
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#reportLost();
  }

  #reportLost(): void {
    if (this.#lost === 0) return;
    const fields = { level: "warn", time: new Date().toISOString(), ns: "prism:log", lines: this.#lost };
    this.#lost = 0;
    this.write(
      `${JSON.stringify({ ...fields, msg: "log lines were dropped because the log's reader was too slow" })}\n`,
    );
  }

  /** @returns the bytes that were not written. Without a reader, all bytes count as written. */
  #tryWrite(bytes: Buffer): Buffer {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return rest;
    }
    return rest.subarray(rest.length);
  }
}

const MASK = "***";
const DEPTH = 8;

/**
 * Names of members to mask in logs, and endings of such names; without hyphens and underscores, in
 * lower case.
 */
const NAMES = new Set(["authorization", "cookie", "token", "password", "secret", "key", "ticket"]);
const ENDINGS = [
  "authorization",
  "cookie",
  "token",
  "password",
  "secret",
  "ticket",
  "apikey",
  "privatekey",
  "encryptionkey",
];

/**
 * The fields of a log line with the values of sensitive members masked at any depth. Errors become
 * plain objects.
 */
export function redactFields(fields: object): Record<string, unknown> {
  return redactMembers(fields, DEPTH);
}

function redactMembers(object: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, isSensitive(name) ? maskOf(value) : redact(value, depth)]),
  );
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "[deep]";
  if (isErrorLike(value)) return redactMembers(errorFields(value), depth - 1);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => redact(each, depth - 1));
  return redactMembers(value, depth - 1);
}

/**
 * Also errors that `isNativeError` does not detect: a function creates SqliteError, and
 * DOMException has its members on the prototype.
 */
function isErrorLike(value: object): value is Error {
  if (types.isNativeError(value) || value instanceof Error) return true;
  const { message, stack } = value as Partial<Error>;
  return typeof message === "string" && typeof stack === "string";
}

/** Type, message and stack including causes, codes, and all further members. */
function errorFields(error: Error): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  const fields = pino.stdSerializers.err(error);
  const { message, stack } = fields;
  // Not the constructor's name, which the executable's build shortens.
  const type = error.name || fields.type;
  // A DOMException has the constants of all error names on its prototype; they are left out.
  const own: Record<string, unknown> =
    error instanceof DOMException ? { type, message, stack } : { ...fields, type, message, stack };
  const { errors } = error as { errors?: unknown };
  if (Array.isArray(errors))
    own["aggregateErrors"] = errors.map((each: unknown) =>
      isErrorLike(Object(each)) ? errorFields(each as Error) : each,
    );
  if (typeof code === "string" || typeof code === "number") own["code"] = code;
  const causeCodes = causesOf(error).flatMap((cause) => (typeof cause.code === "string" ? [cause.code] : []));
  return causeCodes.length > 0 ? { ...own, causeCodes } : own;
}

const MAX_CAUSES = 5;

/** The chain of causes, the direct one first. */
function causesOf(error: Error): { readonly code?: unknown }[] {
  const causes: { readonly code?: unknown }[] = [];
  let { cause } = error;
  while (typeof cause === "object" && cause !== null && causes.length < MAX_CAUSES) {
    causes.push(cause);
    ({ cause } = cause as { cause?: unknown });
  }
  return causes;
}

/** Empty values are not masked: that a secret was missing is useful to know. */
function maskOf(value: unknown): unknown {
  return value === undefined || value === null || value === "" ? value : MASK;
}

function isSensitive(name: string): boolean {
  const plain = name.replace(/[-_]/g, "").toLowerCase();
  return NAMES.has(plain) || ENDINGS.some((ending) => plain.endsWith(ending));
}

// Prism's own tokens, JWTs, credentials of a header, and members of a query or fragment that may
// contain a secret.
const IN_TEXT = new RegExp(
  [
    /\b(pr[krst]_)[\w-]{20,}/,
    /\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+/,
    /\b((?:bearer|apikey|basic) +)[\w.~+/=-]{8,}/,
    /([?&#](?:\w*token|ticket|key|secret|password)=)[^&\s"\\]+/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gi",
);

/**
 * Masks everything in a log line or other text that looks like a secret: messages and stacks quote
 * their input.
 */
export function redactText(text: string): string {
  return maskCredentials(text).replace(
    IN_TEXT,
    (_, prefix?: string, scheme?: string, member?: string) => `${prefix ?? scheme ?? member ?? ""}${MASK}`,
  );
}

const ROOT = "prism";
const STDOUT = 1;

export interface LoggerOptions {
  readonly level: "error" | "warn" | "info" | "debug";
  /**
   * Patterns as in the `debug` package: `prism:*`, `prism:http,prism:rules`, `-prism:http`; `dms:*`
   * matches every namespace.
   */
  readonly debug?: string | undefined;
  readonly destination?: DestinationStream | undefined;
}

export interface ReloadableLogger extends Logger {
  /** Applies new levels at once in all namespaces. */
  reload(options: Pick<LoggerOptions, "level" | "debug">): void;
}

/**
 * pino, one JSON object per line, written synchronously, because a line lost in a crash would be
 * the one that explains it. Secrets are not logged in the first place; redaction by name and by
 * pattern is the second safeguard.
 */
export function createLogger(options: LoggerOptions): ReloadableLogger {
  const target = options.destination ?? new LineWriter(STDOUT);
  const root = pino(
    {
      level: "debug",
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      serializers: { err: (plain: unknown) => plain },
    },
    { write: (line) => target.write(redactText(line)) },
  );
  const made: { readonly pino: Pino; readonly name: string }[] = [];
  let current: Pick<LoggerOptions, "level" | "debug"> = options;
  const namespaced = (name: string): Logger => {
    const child = root.child({ ns: name });
    child.level = levelOf(name, current);
    made.push({ pino: child, name });
    return wrap(child, (sub) => namespaced(`${name}:${sub}`));
  };
  return {
    ...namespaced(ROOT),
    reload(next) {
      current = next;
      for (const { pino, name } of made) pino.level = levelOf(name, next);
    },
  };
}

function wrap(logger: Pino, namespace: (name: string) => Logger): Logger {
  return {
    error: (fields: LogFields, message: string) => logger.error(fields, message),
    warn: (fields: LogFields, message: string) => logger.warn(fields, message),
    info: (fields: LogFields, message: string) => logger.info(fields, message),
    debug: (fields: LogFields, message: string) => logger.debug(fields, message),
    isDebug: () => logger.isLevelEnabled("debug"),
    namespace,
  };
}

function levelOf(name: string, { level, debug }: Pick<LoggerOptions, "level" | "debug">): string {
  return debug !== undefined && selects(debug, name) ? "debug" : level;
}

function selects(patterns: string, name: string): boolean {
  let selected = false;
  for (const part of patterns.split(/[\s,]+/)) {
    const excludes = part.startsWith("-");
    const pattern = (excludes ? part.slice(1) : part).replace(/^dms(?=:|$)/, ROOT);
    if (pattern === "") continue;
    const regex = new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
    // `prism:*` also selects the root `prism`.
    if (regex.test(name) || regex.test(`${name}:`)) selected = !excludes;
  }
  return selected;
}

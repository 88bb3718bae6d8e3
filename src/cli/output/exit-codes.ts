import { ConfigRefused } from "../../config/option.ts";
import { CommandError, EXIT, exitCodeOf, ServerRefused } from "../../core/command-error.ts";
import { UnsealError } from "../../core/crypto/sealed-box.ts";
import { DataDirRefused } from "../../core/data-dir.ts";
import { type ErrorDetail, PrismError, STATUS_OF } from "../../core/errors.ts";
import { ControlSocketRefused, ListenRefused } from "../../core/listening.ts";
import { type ArchiveProblem, ArchiveRefused } from "../../features/records/backup/manifest.ts";
import { TlsRefused } from "../../http/server/tls.ts";
import { SchemaRefused } from "../../store/sqlite/migrate.ts";
import { failureOf, sqliteCode } from "../../store/sqlite/sqlite-errors.ts";

export { CommandError, EXIT, ServerRefused } from "../../core/command-error.ts";

/** Why a command failed. */
export interface Failure {
  readonly exitCode: number;
  /** Stable: that of the API's error where a server or a handler refused, one of the CLI otherwise. */
  readonly code: string;
  /** For people: with the code and the details, which may be further lines. */
  readonly message: string;
  /** The message alone. */
  readonly summary: string;
  readonly details: readonly ErrorDetail[];
}

function failure(exitCode: number, code: string, summary: string, details: readonly ErrorDetail[] = []): Failure {
  return { exitCode, code, message: summary, summary, details };
}

/** Why an error ended a command; undefined for an unexpected error. */
export function describeFailure(error: unknown): Failure | undefined {
  if (error instanceof CommandError) return ofCommand(error);
  if (error instanceof ConfigRefused) {
    const list = error.problems.map((problem) => `  - ${problem}`).join("\n");
    const details = error.problems.map((message) => ({ message }));
    const summary = "the configuration is not valid";
    return { ...failure(EXIT.refused, "CONFIG_REFUSED", summary, details), message: `${summary}:\n${list}` };
  }
  if (error instanceof SchemaRefused) return failure(EXIT.refused, "SCHEMA_REFUSED", error.message);
  if (error instanceof TlsRefused) return failure(EXIT.refused, "TLS_REFUSED", error.message);
  if (error instanceof UnsealError) return failure(EXIT.refused, "WRONG_ENCRYPTION_KEY", OTHER_KEY);
  if (error instanceof ListenRefused || error instanceof ControlSocketRefused)
    return failure(EXIT.unreachable, "LISTEN_REFUSED", error.message);
  if (error instanceof DataDirRefused) return failure(EXIT.unreachable, "DATA_DIR_REFUSED", error.message);
  if (error instanceof ArchiveRefused)
    return failure(EXIT_OF_ARCHIVE[error.problem], `ARCHIVE_${error.problem.toUpperCase()}`, error.message);
  if (failureOf(error) === "full" || (error instanceof PrismError && error.code === "STORAGE_FULL"))
    return failure(EXIT.unreachable, "STORAGE_FULL", DISK_FULL);
  if (error instanceof PrismError || error instanceof ServerRefused) return ofApi(error);
  if (sqliteCode(error).startsWith("SQLITE_") && error instanceof Error)
    return failure(
      EXIT.unreachable,
      "DATABASE_UNAVAILABLE",
      `the database cannot be used: ${error.message}; run prism doctor`,
    );
  return undefined;
}

/** The code of the API is kept where its refusal is the cause. */
function ofCommand({ exitCode, message, cause, code }: CommandError): Failure {
  const inner = cause instanceof PrismError || cause instanceof ServerRefused ? ofApi(cause) : undefined;
  return failure(exitCode, code ?? inner?.code ?? CODE_OF_EXIT[exitCode] ?? "FAILED", message, inner?.details);
}

const CODE_OF_EXIT: Readonly<Record<number, string>> = {
  [EXIT.failure]: "FAILED",
  [EXIT.usage]: "USAGE",
  [EXIT.refused]: "REFUSED",
  [EXIT.unreachable]: "UNREACHABLE",
  [EXIT.unauthorised]: "UNAUTHORISED",
  [EXIT.notFound]: "NOT_FOUND",
  [EXIT.conflict]: "CONFLICT",
  [EXIT.checkFailed]: "CHECK_FAILED",
};

function ofApi(error: PrismError | ServerRefused): Failure {
  const { code, details = [] } = error;
  const status = error instanceof ServerRefused ? error.status : STATUS_OF[error.code];
  const wait = status === 429 ? waitText(error.retryAfterMs) : "";
  const message = withDetails(`${error.message} (${code})${wait}`, details);
  return { ...failure(exitCodeOf(status, code), code, error.message, details), message };
}

/** The command can be repeated as it is. */
function waitText(retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return "; try again later";
  return `; try again in ${Math.ceil(retryAfterMs / 1000)} s`;
}

const EXIT_OF_ARCHIVE: Readonly<Record<ArchiveProblem, number>> = {
  damaged: EXIT.conflict,
  exists: EXIT.conflict,
  untrusted: EXIT.refused,
  newer: EXIT.refused,
  passphrase: EXIT.unauthorised,
  space: EXIT.failure,
};

const DISK_FULL =
  "the disk of the database is full, or maxDbBytes is reached: free some space (the write-ahead log needs some, too) " +
  "and start again; no stored data is lost";

const OTHER_KEY =
  "the encryption key is not the one this database was made with; set PRISM_ENCRYPTION_KEY, " +
  "or restore secrets.json of its data directory";

/** One line per detail that the message does not say already. */
function withDetails(message: string, details: readonly ErrorDetail[] = []): string {
  const lines = details
    .filter((detail) => !message.toLowerCase().includes(detail.message.toLowerCase()))
    .map(({ path, message: text }) => `  - ${path ? `${path}: ` : ""}${text}`);
  return [message, ...lines].join("\n");
}

/**
 * The refusal of an import, with lines for each of its problems that are about one of the `things`
 * in the file; any other error as it is.
 */
export function importRefusal(
  error: unknown,
  things: "rules" | "users",
  linesOf: (problem: ErrorDetail) => readonly string[],
): unknown {
  const details = error instanceof Error && "details" in error ? (error.details as readonly ErrorDetail[]) : undefined;
  const placed = (details ?? []).filter(({ path }) => path?.startsWith(`${things}.`));
  const failure = describeFailure(error);
  if (!failure || placed.length === 0) return error;
  const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
  const head = `nothing was imported, because this is not valid${code}:`;
  return new CommandError(failure.exitCode, [head, ...placed.flatMap(linesOf)].join("\n"), { cause: error });
}

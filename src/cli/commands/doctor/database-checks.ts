import { existsSync, statSync } from "node:fs";
import type { Database as Sqlite } from "better-sqlite3";
import { type Config, type LoadedConfig, sealedBoxOf } from "../../../config/load.ts";
import { toRfc3339 } from "../../../core/clock.ts";
import { type SealedBox, UnsealError } from "../../../core/sealed-box.ts";
import { auditHeadProblem, type NotedHead, readAuditHead } from "../../../features/audit/audit-head.ts";
import {
  type AuditHead,
  type AuditVerdict,
  firstAuditSeq,
  lastAuditSeq,
  verifyAudit,
} from "../../../features/audit/audit-log.ts";
import { clockWarning, storedClockFacts } from "../../../features/retention/clock-trust.ts";
import { isHeadRequired, loadAuditKey } from "../../../store/sealed-settings.ts";
import { ingestLimitBytes, ingestResumesBytes, PageUsage, reading } from "../../../store/sqlite/connection.ts";
import { migrationStatusOf, requireOwnSchema, SchemaRefused } from "../../../store/sqlite/migrate.ts";
import { beatFileOf, lostCommits } from "../../../store/write-health.ts";
import { lostDatabase, missingDatabase } from "../../data-dir.ts";
import { attempt, bytesText, type Check, fail, pass, warn } from "./check.ts";
import type { DoctorDatabase } from "./data-checks.ts";
import {
  checkAccounts,
  checkEncryption,
  checkKeys,
  checkQueues,
  checkRights,
  checkSamples,
  checkStored,
  clockFacts,
  foreignKeyViolations,
  hasAuditKey,
  hasServed,
  quickCheck,
} from "./data-checks.ts";
import { checkDrills, checkLinks } from "./drill-checks.ts";

const CLOCK_TOLERANCE_MS = 5000;
/** Earlier than this program was written: a clock before it is wrong. */
const EARLIEST = Date.UTC(2025, 0, 1);
const SHOWN_PROBLEMS = 5;

export function checkDatabaseFile(loaded: LoadedConfig): Check[] {
  const { config } = loaded;
  const { dataDir, databaseFile } = config;
  const lost = lostDatabase(config);
  if (lost !== null) return [fail("database", lost, "prism restore brings an archive back")];
  if (!existsSync(databaseFile)) return [fail("database", missingDatabase(loaded))];
  const missing = reading(databaseFile, (connection) =>
    hasSettings(connection) ? lostCommits(connection, beatFileOf(dataDir), databaseFile) : null,
  );
  return missing === null ? [] : [fail("database", missing, "see the log of that server")];
}

function hasSettings(connection: Sqlite): boolean {
  return connection.prepare("select 1 from sqlite_schema where name = 'settings'").get() !== undefined;
}

/** Whether the file is intact. @param deep also compares the indexes with their tables. */
export async function checkIntegrity(db: DoctorDatabase, { databaseFile }: Config, deep: boolean): Promise<Check[]> {
  const problems = await quickCheck(db, deep);
  if (problems.length > 0) {
    const shown = problems.slice(0, SHOWN_PROBLEMS).join("; ");
    return [
      fail(
        "database",
        `damaged: ${shown}`,
        "stop the server and go back to a backup with prism restore, which keeps these files",
      ),
    ];
  }
  const walBytes = statSync(`${databaseFile}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  const wal = walBytes === 0 ? "" : ` and ${bytesText(walBytes)} in its write-ahead log`;
  const size = `${bytesText(statSync(databaseFile).size)}${wal}`;
  return [pass("database", `${size}, ${deep ? "integrity check" : "quick check"} found nothing`)];
}

/** How close the database is to the part of `maxDbBytes` that ingest may fill. */
function checkLimit({ databaseFile, maxDbBytes }: Config): Check[] {
  if (maxDbBytes === undefined) return [];
  const limitBytes = ingestLimitBytes(maxDbBytes);
  const usedBytes = reading(databaseFile, (connection) => new PageUsage(connection).usedBytes());
  const limit = `${bytesText(limitBytes)} of maxDbBytes ${bytesText(maxDbBytes)}`;
  const size = `${bytesText(usedBytes)} used; events are refused at ${limit}`;
  const remedy = "delete events, shorten retention.days, or raise maxDbBytes";
  if (usedBytes >= ingestResumesBytes(maxDbBytes)) return [fail("size limit", size, remedy)];
  return [usedBytes >= 0.8 * limitBytes ? warn("size limit", size, remedy) : pass("size limit", size)];
}

export async function checkForeignKeys(db: DoctorDatabase): Promise<Check[]> {
  const violations = await foreignKeyViolations(db);
  if (violations.length === 0) return [pass("foreign keys", "every reference is valid")];
  const shown = violations.slice(0, SHOWN_PROBLEMS).map(({ table, parent }) => `${table} to ${parent}`);
  return [fail("foreign keys", `${violations.length} references are dangling: ${shown.join(", ")}`)];
}

/** A newer database causes SchemaRefused, which the caller reports. */
export function checkMigrations({ databaseFile }: Config): Check[] {
  const { applied, pending } = migrationStatusOf(databaseFile);
  if (pending.length === 0) return [pass("migrations", `${applied.length} applied, none missing`)];
  return [warn("migrations", `missing: ${pending.join(", ")}`, "prism migrate, or the next start of the server")];
}

/** Whether a backup could be restored: the schema is only that of the migrations and modules. */
export function checkSchema({ databaseFile }: Config): Check[] {
  try {
    reading(databaseFile, requireOwnSchema);
    return [pass("schema", "a backup of it can be restored")];
  } catch (error) {
    if (!(error instanceof SchemaRefused)) throw error;
    const remedy = "drop it; modules may have tables named module_<name>_… and indexes on them";
    return [fail("schema", `${error.message}: no backup can be made or restored`, remedy)];
  }
}

/**
 * The audit chain, whose key also shows whether the encryption key is the database's.
 * @param anchor a head of the chain recorded elsewhere.
 */
export async function checkAudit(db: DoctorDatabase, config: Config, anchor: AuditHead | undefined): Promise<Check[]> {
  const { dataDir, databaseFile } = config;
  if (!(await hasAuditKey(db))) return [pass("audit", "the trail is empty")];
  const noted = await readAuditHead(dataDir);
  let looked: { readonly key: Uint8Array; readonly problem: string | null };
  try {
    looked = lookAtHead(databaseFile, sealedBoxOf(config), noted);
  } catch (error) {
    if (!(error instanceof UnsealError)) throw error;
    return [
      fail(
        "audit",
        "the encryption key is not the one this database was made with",
        "set PRISM_ENCRYPTION_KEY to that one",
      ),
    ];
  }
  const lastSeq = await lastAuditSeq(db);
  const heads = [noted, anchor].filter((head) => head !== null && head !== undefined);
  const verdict = await verifyAudit(db, looked.key, lastSeq, {}, heads);
  if (!verdict.ok) return [fail("audit", brokenChain(verdict))];
  // A server of an earlier version also recorded its head, without the mark that requires one.
  const isMissing = noted === null && lastSeq > 0 && (await hasServed(db));
  const problem = looked.problem ?? (isMissing ? "audit.head is missing or damaged, though a server has run" : null);
  if (problem !== null) return [fail("audit", problem, ACCEPT_AUDIT)];
  const whole = `the chain of ${verdict.checked} rows is intact`;
  if (anchor && anchor.seq < (await firstAuditSeq(db)))
    return [warn("audit", `${whole}, but row ${anchor.seq} of the anchor is older than what is kept`)];
  return [pass("audit", whole)];
}

const ACCEPT_AUDIT =
  "compare with --anchor and a head from a log that is kept elsewhere; prism serve --accept-audit continues from here";

/** @throws UnsealError */
function lookAtHead(databaseFile: string, box: SealedBox, noted: NotedHead | null) {
  return reading(databaseFile, (connection) => {
    const key = loadAuditKey(connection, box);
    const isRequired = isHeadRequired(connection, box);
    const read = connection.prepare<[number], string>("select hash from audit_log where seq = ?").pluck();
    return { key, problem: auditHeadProblem(noted, { key, isRequired, hashAt: (seq) => read.get(seq) }) };
  });
}

function brokenChain({ firstBad }: AuditVerdict): string {
  return firstBad
    ? `row ${firstBad.seq} (${firstBad.id}) was changed, or one before it is missing`
    : "the first or the last rows are missing, and no checkpoint accounts for them";
}

/** A clock before stored rows would sort new rows before old; one ahead suspends retention. */
export async function checkClock(db: DoctorDatabase | null, config: Config): Promise<Check[]> {
  const now = Date.now();
  if (now < EARLIEST) return [fail("clock", `says ${toRfc3339(now)}`, "set the clock")];
  const newestAt = db ? await clockFacts(db) : 0;
  if (newestAt > now + CLOCK_TOLERANCE_MS) {
    const behindS = Math.round((newestAt - now) / 1000);
    return [warn("clock", `is ${behindS} s earlier than the newest row (${toRfc3339(newestAt)})`, "set the clock")];
  }
  const doubt = db ? reading(config.databaseFile, (connection) => clockWarning(storedClockFacts(connection))) : null;
  return [doubt === null ? pass("clock", toRfc3339(now)) : warn("clock", doubt)];
}

export interface DatabaseLook {
  readonly deep: boolean;
  readonly isServed: boolean;
  readonly anchor: AuditHead | undefined;
}

/** All checks that read the database, each separately. */
export async function checkDatabase(
  db: DoctorDatabase,
  config: Config,
  { deep, isServed, anchor }: DatabaseLook,
): Promise<readonly Check[]> {
  const integrity = await attempt("database", () => checkIntegrity(db, config, deep));
  // Further findings in a damaged file are worthless.
  if (integrity.some(({ status }) => status === "FAIL")) return integrity;
  const migrations = await attempt("migrations", async () => checkMigrations(config));
  const isCurrent = migrations.every(({ status }) => status === "PASS");
  if (!isCurrent) return [...integrity, ...migrations];
  return [
    ...integrity,
    ...migrations,
    ...(await attempt("size limit", async () => checkLimit(config))),
    ...(await attempt("schema", async () => checkSchema(config))),
    ...(await attempt("foreign keys", () => checkForeignKeys(db))),
    ...(await attempt("encryption", () => checkEncryption(db, config))),
    ...(await attempt("audit", () => checkAudit(db, config, anchor))),
    ...(await attempt("queues", () => checkQueues(db, isServed))),
    ...(await attempt("keys", () => checkKeys(db))),
    ...(await attempt("accounts", async () => [...(await checkAccounts(db)), ...(await checkSamples(db, config))])),
    ...(await attempt("rights", () => checkRights(db, config))),
    ...(await attempt("stored bytes", () => checkStored(db, config))),
    ...(await attempt("drills", () => checkDrills(db, config))),
    ...(await attempt("channels", () => checkLinks(db, config))),
  ];
}

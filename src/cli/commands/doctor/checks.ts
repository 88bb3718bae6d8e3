import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { SEALED_COLUMNS } from "../../../app/sealed-columns.ts";
import type { Config, LoadedConfig } from "../../../config/load.ts";
import { attempt, type Check, fail, pass, warn } from "../../../core/check.ts";
import { SPOOL_DIR } from "../../../core/data-dir.ts";
import { KEEPS_UTF8_HEADERS, nodeWarning } from "../../../core/runtime.ts";
import * as access from "../../../features/access/doctor.ts";
import * as delivery from "../../../features/delivery/doctor.ts";
import { checkEmergency, testEmergency } from "../../../features/health/emergency/doctor.ts";
import { checkDrills } from "../../../features/oncall/drill/doctor.ts";
import { checkModuleStates, checkModulesDir } from "../../../features/plugins/doctor.ts";
import type { AuditHead } from "../../../features/records/audit/audit-log.ts";
import { checkAudit } from "../../../features/records/audit/doctor.ts";
import * as backup from "../../../features/records/backup/doctor.ts";
import { checkClock } from "../../../features/records/retention/doctor.ts";
import { checkQueues } from "../../../features/time/jobs/doctor.ts";
import { checkTls } from "../../../http/server/tls.ts";
import { checkPort, checkServer, followerHere } from "../../../remote/running-server.ts";
import type { ReadDb } from "../../../store/database.ts";
import * as store from "../../../store/doctor.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { DataDirLock } from "../../../store/sqlite/data-dir-lock.ts";
import { beatFileOf, lostCommits } from "../../../store/write-health.ts";
import { lostDatabase, missingDatabase } from "../../data-dir.ts";
import type { Output } from "../../output/output.ts";
import { checkProxy } from "./config-checks.ts";

/** The flags of `prism doctor`. */
export interface DoctorFlags {
  readonly fix?: boolean;
  readonly db?: boolean;
  readonly redis?: boolean;
  readonly emergency?: boolean;
  readonly deep?: boolean;
  readonly anchor?: AuditHead;
}

/** Context of the checks. */
interface Installation {
  readonly config: Config;
  readonly loaded: LoadedConfig;
  readonly flags: DoctorFlags;
  readonly out: Output;
  readonly isServed: boolean;
  /** Warnings that other checks of the same configuration report. */
  readonly known: ReadonlySet<string>;
}

interface Opened extends Installation {
  readonly db: ReadDb;
}

type List<T> = readonly (readonly [name: string, look: (at: T) => readonly Check[] | Promise<readonly Check[]>])[];

const OF_MACHINE: List<Installation> = [
  ["node", () => [checkNode()]],
  ["headers", () => checkHeaders()],
  ["permissions", ({ config, flags }) => backup.checkPermissions(config, flags.fix === true)],
  [
    "descriptors",
    ({ config, isServed }) => (isServed ? store.checkServerDescriptors(config) : store.checkDescriptors()),
  ],
  ["tls", ({ config }) => checkTls(config)],
  ["disk", ({ config }) => store.checkDisk(config)],
  ["backups", async ({ config }) => backup.checkBackups(config, { follows: (await followerHere(config)) !== null })],
  ["leftovers", ({ config, flags }) => backup.checkLeftovers(config, flags.fix === true)],
  ["modules", ({ config }) => checkModulesDir(config)],
];

/** Checks of a database that is intact and current. */
const OF_DATABASE: List<Opened> = [
  ["size limit", ({ config }) => store.checkLimit(config)],
  ["schema", ({ config }) => store.checkSchema(config)],
  ["foreign keys", ({ db }) => store.checkForeignKeys(db)],
  ["encryption", ({ db, config }) => backup.checkEncryption(db, config, SEALED_COLUMNS)],
  ["audit", ({ db, config, flags }) => checkAudit(db, config, flags.anchor)],
  ["queues", ({ db, isServed }) => checkQueues(db, isServed)],
  ["keys", ({ db, config }) => access.checkKeys(db, config)],
  [
    "accounts",
    async ({ db, config }) => [...(await access.checkAccounts(db)), ...(await access.checkSamples(db, config))],
  ],
  ["rights", ({ db, config }) => access.checkRights(db, config)],
  ["stored bytes", ({ db, config }) => access.checkStored(db, config)],
  ["drills", ({ db, config }) => checkDrills(db, config)],
  ["channels", ({ db, config }) => delivery.checkLinks(db, config)],
];

const OF_SERVICES: List<Installation> = [
  ["emergency", ({ config }) => checkEmergency(config)],
  ["smtp", ({ config, flags }) => delivery.checkSmtp(config, flags.deep === true)],
  ["push", ({ config, flags }) => delivery.checkPush(config, flags.deep === true)],
  ["webpush", ({ config }) => delivery.checkWebPush(config)],
  ["providers", ({ config, flags }) => delivery.checkProviders(config, flags.deep === true)],
  ["issuer", ({ config }) => access.checkIssuer(config)],
  ["proxy", ({ loaded }) => checkProxy(loaded)],
  ["account pages", ({ config }) => access.checkAccountPages(config)],
  ["cluster", ({ config }) => checkCluster(config)],
  ["port", ({ config, isServed }) => checkPort(config, isServed)],
  ["server", ({ config, isServed, out, known }) => checkServer(config, isServed, out, known)],
];

/** Whether the flags name a part of the checks. */
export function isPartial({ db, redis, emergency }: DoctorFlags): boolean {
  return db === true || redis === true || emergency === true;
}

/** The requested checks; all of them by default. @param known warnings that are reported already */
export async function checkAll(
  out: Output,
  loaded: LoadedConfig,
  flags: DoctorFlags,
  known: ReadonlySet<string>,
): Promise<readonly Check[]> {
  const { config } = loaded;
  const isWhole = !isPartial(flags);
  const at: Installation = { config, loaded, flags, out, known, isServed: DataDirLock.isHeld(config) };
  return [
    ...(isWhole ? await run(OF_MACHINE, at) : []),
    ...(isWhole || flags.db ? await checkDatabaseOf(at, isWhole) : []),
    ...(isWhole || flags.redis ? checkRedis(loaded.warnings) : []),
    ...(flags.emergency ? await run([["emergency", () => testEmergency(config)]], at) : []),
    ...(isWhole ? await run(OF_SERVICES, at) : []),
  ];
}

/** One after the other; an error counts as a failed check. */
async function run<T>(list: List<T>, at: T): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const [name, look] of list) checks.push(...(await attempt(name, async () => look(at))));
  return checks;
}

async function checkDatabaseOf(at: Installation, isWhole: boolean): Promise<readonly Check[]> {
  const { config, loaded, out } = at;
  const checks = [...(await attempt("database", async () => checkDatabaseFile(loaded)))];
  if (!existsSync(config.databaseFile)) return [...checks, ...(await checkClock(null, config))];
  const { db, close } = store.openForChecks(config.databaseFile);
  const progress = out.progress("checking the database");
  const found = await checkDatabase({ ...at, db });
  const isReadable = found.every(({ name, status }) => status === "PASS" || !["database", "migrations"].includes(name));
  checks.push(...found, ...(await attempt("clock", () => checkClock(isReadable ? db : null, config))));
  if (isWhole && isReadable) checks.push(...(await attempt("modules", () => checkModuleStates(db))));
  progress.end();
  await close();
  return checks;
}

async function checkDatabase(at: Opened): Promise<readonly Check[]> {
  const { db, config, flags } = at;
  const integrity = await attempt("database", () => store.checkIntegrity(db, config, flags.deep === true));
  // Further findings in a damaged file are worthless.
  if (integrity.some(({ status }) => status === "FAIL")) return integrity;
  const migrations = await attempt("migrations", async () => store.checkMigrations(config));
  const isCurrent = migrations.every(({ status }) => status === "PASS");
  return [...integrity, ...migrations, ...(isCurrent ? await run(OF_DATABASE, at) : [])];
}

function checkDatabaseFile(loaded: LoadedConfig): Check[] {
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

/** Whether Node.js still gets security fixes. */
function checkNode(): Check {
  const warning = nodeWarning(Date.now());
  return warning === null ? pass("node", `Node.js ${process.versions.node}`) : warn("node", warning);
}

/** Warns where the HTTP library takes characters that are not ASCII for white space (docs/ntfy.md). */
export function checkHeaders(keepsUtf8 = KEEPS_UTF8_HEADERS): Check[] {
  if (keepsUtf8) return [];
  const lost = "on this platform characters that are not ASCII are lost at the ends of header values";
  return [warn("headers", lost, "let publishers of ntfy use the query, JSON or RFC 2047 for titles and tags")];
}

/** Without a cluster, and what is left of one, none of its code is read. */
async function checkCluster(config: Config): Promise<readonly Check[]> {
  if (config.cluster.servers.length === 0 && !existsSync(join(config.dataDir, SPOOL_DIR))) return [];
  const { checkNodes } = await import("../../../cluster/tools/doctor.ts");
  return checkNodes(config);
}

/** There is no Redis to reach, which `redis:check` reports. */
function checkRedis(warnings: readonly string[]): Check[] {
  const ignored = warnings.find((warning) => warning.startsWith("REDIS_"));
  return [
    pass("redis", "embedded: Prism has its own broker and queues and needs no Redis"),
    ...(ignored === undefined ? [] : [warn("redis", ignored)]),
  ];
}

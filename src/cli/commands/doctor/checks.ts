import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { FEATURES } from "../../../app/feature-list.ts";
import { SEALED_COLUMNS } from "../../../app/sealed-columns.ts";
import type { Config, LoadedConfig } from "../../../config/load.ts";
import { SPOOL_DIR } from "../../../core/data-dir.ts";
import { attempt, type Finding, fail, pass, warn } from "../../../core/finding.ts";
import { KEEPS_UTF8_HEADERS, nodeWarning } from "../../../core/runtime.ts";
import { checkTls } from "../../../http/server/tls.ts";
import { type Installation, lookAll, type StoredFindings, storedFindings } from "../../../module/findings.ts";
import { checkPort, checkServer, followerHere } from "../../../remote/running-server.ts";
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
  readonly anchor?: Installation["anchor"];
}

/** What is below the features, and what the server that runs says. */
function ofCore(out: Output, known: ReadonlySet<string>): StoredFindings {
  return {
    machine: {
      node: () => [checkNode()],
      headers: () => checkHeaders(),
      descriptors: ({ config, isServed }) =>
        isServed ? store.checkServerDescriptors(config) : store.checkDescriptors(),
      tls: ({ config }) => checkTls(config),
      disk: ({ config }) => store.checkDisk(config),
    },
    database: {
      "size limit": ({ config }) => store.checkLimit(config),
      schema: ({ config }) => store.checkSchema(config),
      "foreign keys": ({ db }) => store.checkForeignKeys(db),
    },
    services: {
      proxy: ({ loaded }) => checkProxy(loaded),
      cluster: ({ config }) => checkCluster(config),
      port: ({ config, isServed }) => checkPort(config, isServed),
      server: ({ config, isServed }) => checkServer(config, isServed, out, known),
    },
  };
}

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
): Promise<readonly Finding[]> {
  const { config } = loaded;
  const isWhole = !isPartial(flags);
  const at: Installation = {
    ...{ config, loaded, isWhole, isServed: DataDirLock.isHeld(config), sealedColumns: SEALED_COLUMNS },
    ...{ fixes: flags.fix === true, isDeep: flags.deep === true, anchor: flags.anchor },
    follows: async () => (await followerHere(config)) !== null,
  };
  const all = [ofCore(out, known), ...(await storedFindings(FEATURES))];
  return [
    ...(isWhole ? await lookAll(all, "machine", at) : []),
    ...(isWhole || flags.db ? await checkDatabaseOf(at, out, all) : []),
    ...(isWhole || flags.redis ? checkRedis(loaded.warnings) : []),
    ...(flags.emergency ? await testEmergencyOf(config) : []),
    ...(isWhole ? await lookAll(all, "services", at) : []),
  ];
}

async function testEmergencyOf(config: Config): Promise<readonly Finding[]> {
  const { testEmergency } = await import("../../../features/health/emergency/doctor.ts");
  return attempt("emergency", () => testEmergency(config));
}

async function checkDatabaseOf(
  at: Installation,
  out: Output,
  all: readonly StoredFindings[],
): Promise<readonly Finding[]> {
  const { config } = at;
  const found = [...(await attempt("database", async () => checkDatabaseFile(at.loaded)))];
  if (!existsSync(config.databaseFile)) return [...found, ...(await lookAll(all, "last", { ...at, db: null }))];
  const { db, close } = store.openForChecks(config.databaseFile);
  const progress = out.progress("checking the database");
  const ofFile = await attempt("database", () => store.checkIntegrity(db, config, at.isDeep));
  // Further findings in a damaged file are worthless.
  const isIntact = ofFile.every(({ severity }) => severity !== "critical");
  const migrations = isIntact ? await attempt("migrations", async () => store.checkMigrations(config)) : [];
  const isReadable = [...ofFile, ...migrations].every(({ severity }) => severity === "ok");
  found.push(...ofFile, ...migrations);
  if (isReadable) found.push(...(await lookAll(all, "database", { ...at, db })));
  found.push(...(await lookAll(all, "last", { ...at, db: isReadable ? db : null })));
  progress.end();
  await close();
  return found;
}

function checkDatabaseFile(loaded: LoadedConfig): Finding[] {
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
function checkNode(): Finding {
  const warning = nodeWarning(Date.now());
  return warning === null ? pass("node", `Node.js ${process.versions.node}`) : warn("node", warning);
}

/** Warns where the HTTP library takes characters that are not ASCII for white space (docs/ntfy.md). */
export function checkHeaders(keepsUtf8 = KEEPS_UTF8_HEADERS): Finding[] {
  if (keepsUtf8) return [];
  const lost = "on this platform characters that are not ASCII are lost at the ends of header values";
  return [warn("headers", lost, "let publishers of ntfy use the query, JSON or RFC 2047 for titles and tags")];
}

/** Without a cluster, and what is left of one, none of its code is read. */
async function checkCluster(config: Config): Promise<readonly Finding[]> {
  if (config.cluster.servers.length === 0 && !existsSync(join(config.dataDir, SPOOL_DIR))) return [];
  const { checkNodes } = await import("../../../cluster/tools/doctor.ts");
  return checkNodes(config);
}

/** There is no Redis to reach, which `redis:check` reports. */
function checkRedis(warnings: readonly string[]): Finding[] {
  const ignored = warnings.find((warning) => warning.startsWith("REDIS_"));
  return [
    pass("redis", "embedded: Prism has its own broker and queues and needs no Redis"),
    ...(ignored === undefined ? [] : [warn("redis", ignored)]),
  ];
}

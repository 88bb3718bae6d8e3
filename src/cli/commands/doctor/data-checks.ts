import { existsSync } from "node:fs";
import { sql } from "kysely";
import { SEALED_COLUMNS } from "../../../app/sealed-columns.ts";
import { type Config, sealedBoxOf } from "../../../config/load.ts";
import type { QueueName } from "../../../core/queues.ts";
import { DEFAULT_OPEN_SETTING } from "../../../features/access/first-start.ts";
import { lostView, membersWhoLost } from "../../../features/access/projects/leftovers.ts";
import { PAUSED_KEYS, queueOfKey } from "../../../features/jobs/operator.ts";
import { countJobs, type JobCount } from "../../../features/jobs/runner/waiting-counts.ts";
import { findModules, type ModuleFolder, moduleFiles } from "../../../features/plugins/modules-directory.ts";
import { kyselyOver, ReadDriver } from "../../../store/commit/write-driver.ts";
import type { ReadDb } from "../../../store/database.ts";
import { Scanner } from "../../../store/scanner.ts";
import { SERVER_KEYS_SETTING } from "../../../store/sealed-settings.ts";
import { ageText } from "../../output/text.ts";
import { MAIL_DOMAIN } from "../seed/samples.ts";
import { archiveKeys, archivesText } from "../server/archives.ts";
import { bytesText, type Check, fail, pass, warn } from "./check.ts";

/** The database for long reads: in another thread, so that the progress line is updated. */
export type DoctorDatabase = ReadDb;

export function openDoctorDatabase(file: string): { readonly db: DoctorDatabase; close(): Promise<void> } {
  const scanner = new Scanner(file);
  const db = kyselyOver(
    new ReadDriver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 })),
  );
  return { db, close: () => scanner.close() };
}

/** Problems that SQLite finds in the file (sqlite.org/pragma.html#pragma_quick_check), if any. */
export async function quickCheck(db: DoctorDatabase, deep: boolean): Promise<string[]> {
  const query = deep
    ? sql<Record<string, string>>`pragma integrity_check`
    : sql<Record<string, string>>`pragma quick_check`;
  const { rows } = await query.execute(db);
  return rows.flatMap((row) => Object.values(row)).filter((message) => message !== "ok");
}

export async function foreignKeyViolations(db: DoctorDatabase): Promise<{ table: string; parent: string }[]> {
  const { rows } = await sql<{ table: string; parent: string }>`pragma foreign_key_check`.execute(db);
  return rows;
}

export async function hasAuditKey(db: DoctorDatabase): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", "audit.key").executeTakeFirst();
  return row !== undefined;
}

/** Whether a server has ever run on it. */
export async function hasServed(db: DoctorDatabase): Promise<boolean> {
  const row = await db.selectFrom("settings").select("key").where("key", "=", SERVER_KEYS_SETTING).executeTakeFirst();
  return row !== undefined;
}

/** The latest instant stored by the server's clock; 0 in an empty database. */
export async function clockFacts(db: DoctorDatabase): Promise<number> {
  const event = await db
    .selectFrom("events")
    .select("receivedAt as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  const act = await db
    .selectFrom("audit_log")
    .select("timestamp as at")
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return Math.max(event?.at ?? 0, act?.at ?? 0);
}

export async function pausedQueueNames(db: DoctorDatabase): Promise<QueueName[]> {
  const rows = await db
    .selectFrom("settings")
    .select("key")
    .where("key", ">=", PAUSED_KEYS.from)
    .where("key", "<", PAUSED_KEYS.to)
    .execute();
  return rows.map(({ key }) => queueOfKey(key)).filter((name) => name !== undefined);
}

const QUEUES = "queues";
/** Jobs that wait this long after their due time are reported. */
const OVERDUE_MS = 60_000;

/** Dead jobs, paused queues and late jobs. */
export async function checkQueues(db: DoctorDatabase, isServed: boolean, now = Date.now()): Promise<Check[]> {
  const counts = await countJobs(db);
  const paused = await pausedQueueNames(db);
  const checks = [...deadJobs(counts), ...pausedOnes(paused), ...lateJobs(counts, paused, isServed, now)];
  if (checks.length > 0) return checks;
  const waiting = counts.filter(({ state }) => state !== "running").reduce((sum, { n }) => sum + n, 0);
  return [pass(QUEUES, `${waiting} waiting, none dead, none overdue; no queue is paused`)];
}

function deadJobs(counts: readonly JobCount[]): Check[] {
  const dead = counts.filter(({ state }) => state === "dead");
  if (dead.length === 0) return [];
  const shown = dead.map(({ queue, n }) => `${n} in ${queue}`).join(", ");
  return [
    warn(QUEUES, `dead jobs: ${shown}`, "prism queue dead lists them, prism queue retry --queue <name> retries them"),
  ];
}

function pausedOnes(paused: readonly string[]): Check[] {
  if (paused.length === 0) return [];
  return [warn(QUEUES, `paused: ${paused.join(", ")}`, "prism queue resume --all runs their jobs")];
}

/** Jobs of a paused queue are late on purpose. */
function lateJobs(counts: readonly JobCount[], paused: readonly string[], isServed: boolean, now: number): Check[] {
  const late = new Map<string, number>();
  for (const { queue, state, oldest } of counts) {
    if (state === "dead" || state === "running" || paused.includes(queue) || now - oldest < OVERDUE_MS) continue;
    late.set(queue, Math.min(oldest, late.get(queue) ?? oldest));
  }
  if (late.size === 0) return [];
  const shown = [...late].map(([queue, oldest]) => `${queue} for ${ageText(now - oldest)}`).join(", ");
  const why = isServed ? "the server does not keep up, or no worker serves the queue" : "they run when a server starts";
  return [warn(QUEUES, `jobs are overdue in ${shown}; ${why}`)];
}

/** Accounts whose external id is the mail address of another one: made of a recipient. */
export async function checkAccounts(db: DoctorDatabase): Promise<Check[]> {
  const rows = await db
    .selectFrom("users as made")
    .innerJoin("users as owner", (join) => join.on("owner.email", "=", sql<string>`lower(made.externalId)`))
    .whereRef("owner.id", "!=", "made.id")
    .where("made.deletedAt", "is", null)
    .where("owner.deletedAt", "is", null)
    .select("made.id")
    .orderBy("made.id")
    .limit(21)
    .execute();
  if (rows.length === 0) return [pass("accounts", "no external id is the mail address of another account")];
  const shown = rows.slice(0, 20).map(({ id }) => id);
  const more = rows.length > shown.length ? " and more" : "";
  const what = `the external id is the mail address of another account: ${shown.join(", ")}${more}`;
  return [warn("accounts", what, "remove these accounts if no one signs in to them: prism user delete <id>")];
}

/** API keys of disabled accounts, which are refused, and of accounts that version 0.1 deleted, which still work. */
export async function checkKeys(db: DoctorDatabase): Promise<Check[]> {
  const rows = await db
    .selectFrom("api_keys as k")
    .innerJoin("projects as p", "p.id", "k.projectId")
    .innerJoin("users as u", "u.id", "k.createdBy")
    .where("k.revokedAt", "is", null)
    .where("p.deletedAt", "is", null)
    .where((e) => e.or([e("u.deletedAt", "is not", null), e("u.status", "=", "disabled")]))
    .select(["k.id", "p.slug", "u.deletedAt", "u.username"])
    .orderBy("k.id")
    .limit(SHOWN_MEMBERS + 1)
    .execute();
  if (rows.length === 0) return [pass("keys", "no API key belongs to an account that is deleted or disabled")];
  const nameOf = ({ id, slug, deletedAt, username }: (typeof rows)[0]): string =>
    `${id} of ${slug} (${deletedAt === null ? `${username ?? "an account"} is disabled: refused` : "account deleted: works"})`;
  const shown = rows.slice(0, SHOWN_MEMBERS).map(nameOf).join(", ");
  const more = rows.length > SHOWN_MEMBERS ? " and more" : "";
  const what = `API keys of accounts that are deleted or disabled: ${shown}${more}`;
  return [warn("keys", what, "make new keys for programs that use them, and end these: prism key revoke <id>")];
}

/** In production: administrators of `prism seed`, whom an incident that reaches no one falls back to. */
export async function checkSamples(db: DoctorDatabase, { env }: Config): Promise<Check[]> {
  if (env !== "production") return [];
  const rows = await db
    .selectFrom("users")
    .innerJoin("user_roles", "user_roles.userId", "users.id")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select("users.username")
    .distinct()
    .where("roles.name", "=", "Admin")
    .where("users.status", "=", "active")
    .where("users.deletedAt", "is", null)
    .where("users.email", "like", `%@${MAIL_DOMAIN}`)
    .execute();
  if (rows.length === 0) return [];
  const who = rows.map(({ username }) => username).join(", ");
  const what = `administrators of the sample data: ${who}; an incident that reaches no one pages their addresses, which no one reads`;
  return [warn("accounts", what, "prism user disable <name>, or prism user delete <name>")];
}

/** Lines of members in one message. */
const SHOWN_MEMBERS = 50;

/** Members whose server roles gave them more in a project before, and who reads the default project. */
export async function checkRights(db: DoctorDatabase, { auth, projects }: Config): Promise<Check[]> {
  const rows = (await membersWhoLost(db).execute()).map(lostView);
  const lines = rows
    .slice(0, SHOWN_MEMBERS)
    .map((row) => `${row.username ?? row.userId} (${row.role} of ${row.slug}): ${row.rights.join(", ")}`);
  const more = rows.length > lines.length ? [`and ${rows.length - lines.length} more`] : [];
  const what = `only the role in a project counts; members lost ${[...lines, ...more].join("; ")}`;
  const lost = rows.length === 0 ? [] : [warn("rights", what, "prism projects raise lists them and gives them back")];
  const stored = await db
    .selectFrom("settings")
    .select("value")
    .where("key", "=", DEFAULT_OPEN_SETTING)
    .executeTakeFirst();
  const isOpen = projects.defaultOpen ?? stored?.value === 1;
  const isForAll = isOpen && auth.registration === "open";
  const open = "every account reads the project default, and registration is open: so does everyone who can reach it";
  const kept = "every account reads the project default, as before the upgrade: projects.defaultOpen is not set";
  const opened = isForAll
    ? [warn("rights", open, "set projects.defaultOpen to false, and add members")]
    : isOpen && projects.defaultOpen === undefined
      ? [warn("rights", kept, "set projects.defaultOpen to false and add members, or to true to keep it")]
      : [];
  if (lost.length + opened.length > 0) return [...lost, ...opened];
  const reads = isOpen ? "every account reads" : "members and holders of events:read read";
  return [pass("rights", `${reads} the project default`)];
}

const STORED = "stored bytes";
const SHOWN_PROJECTS = 20;

/** Projects that store as much as they may, as the server has last written it. */
export async function checkStored(db: DoctorDatabase, { limits }: Config): Promise<Check[]> {
  const { rows } = await sql<{ slug: string; bytes: number; most: number }>`
    select * from (
      select p.slug, ifnull(s.bytes, 0) + ifnull(t.bytes, 0) as bytes, ifnull(p.storageBytes, case
        when p.slug <> 'default' and p.ownerId is not null and not exists (
          select 1 from user_roles u join roles r on r.id = u.roleId
          where u.userId = p.ownerId and r.permissions like '%"projects:all"%')
        then ${limits.storageBytesPerProject} end) as most
      from projects p left join project_storage s on s.projectId = p.id left join project_texts t on t.projectId = p.id
      where p.deletedAt is null)
    where bytes >= most order by bytes desc`.execute(db);
  if (rows.length === 0) return [pass(STORED, "no project stores as much as it may")];
  const shown = rows
    .slice(0, SHOWN_PROJECTS)
    .map(({ slug, bytes, most }) => `${slug} (${bytesText(bytes)} of ${bytesText(most)})`);
  const more = rows.length > shown.length ? [`and ${rows.length - shown.length} more`] : [];
  const what = `events are refused with 507 in projects that store as much as they may: ${[...shown, ...more].join(", ")}`;
  return [warn(STORED, what, "prism projects storage <project> --limit <bytes>, or limits.storageBytesPerProject")];
}

/** The keys of the sealed values. */
export async function checkEncryption(db: DoctorDatabase, config: Config): Promise<Check[]> {
  const sealed = (await Promise.all(SEALED_COLUMNS.map((column) => column.byKey(db)))).flat();
  // A new database needs no key yet.
  if (sealed.length === 0) return [pass("encryption", "nothing is encrypted yet")];
  const { keyIds, keyId } = sealedBoxOf(config);
  const counts = { current: 0, previous: 0, unknown: 0 };
  for (const { keyId: id, values } of sealed) {
    const hex = Buffer.from(id).toString("hex");
    counts[hex === keyId.toString("hex") ? "current" : keyIds.includes(hex) ? "previous" : "unknown"] += values;
  }
  if (counts.unknown > 0) {
    const what = `${counts.unknown} values are encrypted with a key that is not configured`;
    return [fail("encryption", what, "add it to PRISM_PREVIOUS_ENCRYPTION_KEYS")];
  }
  if (counts.previous > 0)
    return [warn("encryption", `${counts.previous} values need a previous key`, "prism key rotate --encryption")];
  const spare = config.previousEncryptionKeys.length;
  const { previous, unknown } = await archiveKeys(config);
  const checks = [
    pass("encryption", `${counts.current} values, all with the current key${spareText(spare, previous)}`),
  ];
  if (unknown.length > 0) {
    const what = `${archivesText(unknown)} can be restored only with a key that is not configured`;
    checks.push(warn("encryption", what, "keep that key, or remove them"));
  }
  return checks;
}

function spareText(spare: number, archives: readonly string[]): string {
  if (spare === 0) return "";
  const keys = spare === 1 ? "previous key" : `${spare} previous keys`;
  if (archives.length > 0) return `; keep the ${keys} for ${archivesText(archives)}`;
  return `; the ${keys} can be removed unless archives elsewhere need it`;
}

const MODULES = "modules";

/**
 * Whether the modules directory can be loaded; in production other users must not be able to change
 * it (docs/modules.md). Nothing without a directory.
 */
export async function checkModulesDir({ modulesDir, env }: Config): Promise<Check[]> {
  if (!existsSync(modulesDir)) return [];
  const { modules, empty } = findModules([modulesDir]);
  const checks = empty.map(({ folder, reason }) => warn(MODULES, `${folder}: ${reason}`));
  for (const module of modules) {
    const reason = await unsafeReasonOf(module);
    if (reason === null) continue;
    if (env === "production") checks.push(fail(MODULES, `${module.folder}: ${reason}`));
    else checks.push(warn(MODULES, `${module.folder} would not be loaded in production: ${reason}`));
  }
  return checks.length > 0
    ? checks
    : [pass(MODULES, `${modules.length} in ${modulesDir}, which only their owner can write`)];
}

/** States of the modules when a server last loaded them. */
export async function checkModuleStates(db: DoctorDatabase): Promise<Check[]> {
  const rows = await db.selectFrom("modules").select(["name", "state", "error"]).orderBy("name").execute();
  return rows.flatMap(({ name, state, error }) => {
    if (state === "disabled") return [pass(MODULES, `${name} is disabled`)];
    if (error === null) return [];
    if (state === "active") return [warn(MODULES, `the last reload of ${name} changed nothing: ${error}`)];
    return [warn(MODULES, `${name} is not active: ${error}`, `POST /api/v1/modules/${name}/reload once it is fixed`)];
  });
}

async function unsafeReasonOf({ path }: ModuleFolder): Promise<string | null> {
  try {
    for await (const _entry of moduleFiles(path, true));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^not loaded: /, "") : String(error);
  }
}

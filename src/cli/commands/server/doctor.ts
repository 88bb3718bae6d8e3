import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import type { LoadedConfig } from "../../../config/load.ts";
import { countText } from "../../../core/clean-text.ts";
import { nodeWarning } from "../../../core/runtime.ts";
import { parseAuditHead } from "../../../features/audit/audit-head.ts";
import type { AuditHead } from "../../../features/audit/audit-log.ts";
import { type Context, contextOf, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import type { Output } from "../../output/output.ts";
import type { Check } from "../doctor/check.ts";

interface Flags {
  readonly fix?: boolean;
  readonly db?: boolean;
  readonly redis?: boolean;
  readonly emergency?: boolean;
  readonly deep?: boolean;
  readonly anchor?: AuditHead;
}

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("check the installation; a running server is not disturbed")
    .option("--fix", "make the data directory and its secrets private; remove leftovers of interrupted commands")
    .option("--db", "check the database only")
    .option("--redis", "check Redis only: it is embedded")
    .option("--emergency", "only call each way of the settings emergency.* with a test message")
    .option(
      "--deep",
      "also compare indexes with their tables, send a test mail to the sender, and use the bucket, Pusher " +
        "and the push keys; takes longer",
    )
    .option(
      "--anchor <seq:hash>",
      "head of the audit chain to compare with, such as from a log kept elsewhere",
      anchorFlag,
    )
    .addHelpText(
      "after",
      `
It prints one line per check: PASS, WARN or FAIL. It exits 8 when a check FAILs; a WARN alone exits 0.
prism config shows the settings.

Examples:
  $ prism doctor
  $ prism doctor --fix
  $ prism doctor --db --deep --json`,
    )
    .action(async (flags: Flags, command: Command) => doctor(contextOf(command), flags));
}

async function doctor(context: Context, flags: Flags): Promise<void> {
  refuseUrl(context, "doctor");
  const { out } = context;
  const [{ checkConfig, readConfig }, { judgedConfig }] = await Promise.all([
    import("../doctor/check.ts"),
    import("../doctor/running-config.ts"),
  ]);
  const read = readConfig(() =>
    // The checks of the database and of Redis use no token.
    context.loadConfig(flags.db || flags.redis || flags.emergency ? "encryption" : "all"),
  );
  const judged = read.loaded && (await judgedConfig(read.loaded, out));
  const loaded = judged?.loaded ?? null;
  const ofConfig = judged ? checkConfig(judged) : read.refused;
  const isPart = isPartial(flags);
  const known = new Set([...ofConfig.map(({ message }) => message), nodeWarning(Date.now()) ?? ""]);
  const checks = [...(isPart && loaded ? [] : ofConfig), ...(loaded ? await checkAll(out, loaded, flags, known) : [])];
  const failed = checks.filter(({ status }) => status === "FAIL").length;
  out.result({ checks, ok: failed === 0 }, () => checksTable(out, checks));
  if (!loaded) out.note("The other checks need a valid configuration.");
  if (failed > 0) throw new CommandError(EXIT.checkFailed, `${countText(failed, "check")} failed`);
}

function isPartial({ db, redis, emergency }: Flags): boolean {
  return db === true || redis === true || emergency === true;
}

/** The requested checks; all of them by default. */
async function checkAll(
  out: Output,
  loaded: LoadedConfig,
  flags: Flags,
  known: ReadonlySet<string>,
): Promise<readonly Check[]> {
  const { config, warnings } = loaded;
  const [
    { attempt, checkHeaders, checkNode, checkRedis },
    emergencies,
    files,
    network,
    providers,
    { checkModulesDir },
    { DataDirLock },
  ] = await Promise.all([
    import("../doctor/check.ts"),
    import("../doctor/emergency-checks.ts"),
    import("../doctor/file-checks.ts"),
    import("../doctor/network-checks.ts"),
    import("../doctor/provider-checks.ts"),
    import("../doctor/data-checks.ts"),
    import("../../../store/sqlite/data-dir-lock.ts"),
  ]);
  const { fix = false, deep = false } = flags;
  const isWhole = !isPartial(flags);
  const isServed = DataDirLock.isHeld(config);
  const checks: Check[] = [];
  const run = async (looks: readonly (readonly [string, () => MaybeAsync<readonly Check[]>])[]): Promise<void> => {
    for (const [name, look] of looks) checks.push(...(await attempt(name, async () => look())));
  };
  if (isWhole)
    await run([
      ["node", () => [checkNode()]],
      ["headers", () => checkHeaders()],
      ["permissions", () => files.checkPermissions(config, fix)],
      ["descriptors", () => (isServed ? files.checkServerDescriptors(config) : files.checkDescriptors())],
      ["tls", () => network.checkTls(config)],
      ["disk", () => files.checkDisk(config)],
      ["backups", () => files.checkBackups(config)],
      ["leftovers", () => files.checkLeftovers(config, fix)],
      ["modules", () => checkModulesDir(config)],
    ]);
  if (isWhole || flags.db) checks.push(...(await checkDatabaseOf(out, loaded, flags, isWhole, isServed)));
  if (isWhole || flags.redis) checks.push(...checkRedis(warnings));
  if (flags.emergency) await run([["emergency", () => emergencies.testEmergency(config)]]);
  if (isWhole)
    await run([
      ["emergency", () => emergencies.checkEmergency(config)],
      ["smtp", () => providers.checkSmtp(config, deep)],
      ["push", () => providers.checkPush(config, deep)],
      ["webpush", async () => providers.checkWebPush(config)],
      ["providers", () => providers.checkProviders(config, deep)],
      ["issuer", () => providers.checkIssuer(config)],
      ["account pages", () => providers.checkAccountPages(config)],
      ["port", () => network.checkPort(config, isServed)],
      ["server", () => network.checkServer(config, isServed, out, known)],
    ]);
  return checks;
}

type MaybeAsync<T> = T | Promise<T>;

async function checkDatabaseOf(
  out: Output,
  loaded: LoadedConfig,
  { deep = false, anchor }: Flags,
  isWhole: boolean,
  isServed: boolean,
): Promise<readonly Check[]> {
  const { config } = loaded;
  const [{ attempt }, databases, { checkModuleStates, openDoctorDatabase }] = await Promise.all([
    import("../doctor/check.ts"),
    import("../doctor/database-checks.ts"),
    import("../doctor/data-checks.ts"),
  ]);
  const checks = [...(await attempt("database", async () => databases.checkDatabaseFile(loaded)))];
  if (!existsSync(config.databaseFile)) return [...checks, ...(await databases.checkClock(null, config))];
  const { db, close } = openDoctorDatabase(config.databaseFile);
  const progress = out.progress("looking into the database");
  const found = await databases.checkDatabase(db, config, { deep, isServed, anchor });
  const isReadable = found.every(({ name, status }) => status === "PASS" || !["database", "migrations"].includes(name));
  checks.push(...found, ...(await attempt("clock", () => databases.checkClock(isReadable ? db : null, config))));
  if (isWhole && isReadable) checks.push(...(await attempt("modules", () => checkModuleStates(db))));
  progress.end();
  await close();
  return checks;
}

function checksTable(out: Output, checks: readonly Check[]): string[] {
  const paint = { PASS: out.green, WARN: out.yellow, FAIL: out.red };
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks.map(({ name, status, message, remedy }) => {
    const line = `${paint[status].call(out, status)}  ${name.padEnd(width)}  ${message}`;
    return remedy === undefined ? line : `${line}; ${remedy}`;
  });
}

function anchorFlag(text: string): AuditHead {
  const head = parseAuditHead(text);
  if (!head)
    throw new InvalidArgumentError("Use a number and 64 hex digits, such as 4711:9fca…, as the log shows them.");
  return head;
}

import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { freeMemoryWhenIdle } from "../../../app/idle-memory.ts";
import type { App } from "../../../app/start.ts";
import { isLoopback, OPEN_SECRETS, openSecretFiles, proxyText, serverWarnings } from "../../../config/checks.ts";
import type { Config, LoadedConfig } from "../../../config/load.ts";
import { furtherPorts, localUrlOf, networkUrlsOf, publicUrlOf } from "../../../config/public-url.ts";
import { newestBackupAt, prepareDataDir, SPOOL_DIR } from "../../../core/data-dir.ts";
import type { Logger } from "../../../core/log.ts";
import { nodeWarning } from "../../../core/runtime.ts";
import { systemClock } from "../../../core/time/clock.ts";
import { hasLocalPublicUrl } from "../../../features/access/sessions/dev-token.ts";
import { UpgradePort } from "../../../http/server/upgrade-port.ts";
import type { DataDirLock } from "../../../store/sqlite/data-dir-lock.ts";
import { notesOf } from "../../../store/write-health.ts";
import { type CommandContext, contextOf, refuseUrl } from "../../context.ts";
import { heldBy, lostDatabase, makeCurrent, requireSomeDatabase } from "../../data-dir.ts";
import { CommandError, describeFailure, EXIT } from "../../output/exit-codes.ts";
import { openLog } from "../../output/output.ts";
import { exitOnUncaught, ignoreSignals, stopOnSignals } from "../../output/process-ends.ts";
import { asTyped } from "../../output/text.ts";
import { lockUnlessServed } from "../../with-server.ts";
import { notifySystemd, upgradeReporter } from "./systemd.ts";

interface ServeFlags {
  readonly port?: string;
  readonly host?: string;
  readonly dev?: boolean;
  readonly migrate?: boolean;
  readonly modulesDir?: string;
  readonly newDatabase?: boolean;
  readonly acceptAudit?: boolean;
}

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the server")
    .option("--port <n>", "TCP port; 0 picks a free one")
    .option("--host <address>", "address to listen on")
    .option("--dev", "run in development mode, whatever NODE_ENV is")
    .option("--migrate", "apply pending migrations first", true)
    .option("--no-migrate", "refuse to start with pending migrations")
    .option("--new-database", "start with an empty database although the data directory had another one")
    .option("--accept-audit", "continue the audit trail although it does not match audit.head; this is recorded in it")
    .option("--modules-dir <dir>", "directory of modules to load (default: modules in the data directory)")
    .addHelpText(
      "after",
      `
SIGTERM and SIGINT stop it gracefully, a second one at once. SIGHUP reloads the certificate and the settings that
can change while it runs.

Examples:
  $ prism serve
  $ prism serve --port 8080 --data-dir /var/lib/prism
  $ NODE_ENV=production prism serve`,
    )
    .action(async (flags: ServeFlags, command: Command) => serve(contextOf(command), flags));
}

async function serve(context: CommandContext, flags: ServeFlags): Promise<void> {
  refuseUrl(context, "serve");
  const { port, host, dev, modulesDir } = flags;
  const overrides = { port, host, env: dev ? "development" : undefined, modulesDir };
  const loaded = context.loadConfig("all", overrides);
  const log = openLog(context.out, loaded.config);
  exitOnUncaught((error) => log.error({ err: error }, "unexpected failure; exiting"));
  ignoreSignals(log);
  try {
    await run(context, flags, loaded, log);
  } catch (error) {
    await callEmergency(loaded, log, error);
    throw error;
  }
}

async function run(context: CommandContext, flags: ServeFlags, loaded: LoadedConfig, log: Logger): Promise<void> {
  const { config } = loaded;
  prepareDataDir(config.dataDir);
  const proxy = proxyText(loaded);
  if (proxy !== null) log.info({}, proxy);
  if (config.cluster.servers.length > 0) {
    const { requireClusterFiles } = await import("../../../cluster/follow/look.ts");
    requireClusterFiles(config.cluster);
    const { clusterProcess, serveNodeCopy, superviseNode } = await import("./cluster-node.ts");
    if (clusterProcess() === null) return superviseNode();
    if (clusterProcess() === "copy") return serveNodeCopy(loaded, log);
  }
  const lock = await lockUnlessServed(loaded);
  if (!lock) throw heldBy(config);
  const warnings = warningsOf(loaded);
  for (const warning of [...warnings, ...serverWarnings(config)]) log.warn({}, warning);
  if (config.cluster.servers.length > 0) {
    const { serveNode } = await import("./cluster-node.ts");
    return serveNode({
      loaded,
      log,
      lock,
      warnings,
      ready: (app, shared) => isRunning(context, shared, app, lock, log),
    });
  }
  if (flags.newDatabase === true) forgetLost(config);
  if (flags.migrate === false) requireCurrent(loaded);
  const isNew = !existsSync(config.databaseFile);
  const port = new UpgradePort(config);
  const report = upgradeReporter();
  const applied = await makeCurrent(context, loaded, {
    opens: true,
    replacesLost: flags.newDatabase === true,
    log,
    onProgress: ({ percent }) => {
      report(percent);
      return port.show(percent);
    },
  });
  // A new database gets all of them, whose names help no one.
  if (applied.length > 0) log.info(isNew ? { migrations: applied.length } : { applied }, "database migrated");

  const { startApp } = await import("../../../app/start.ts");
  const app = await startApp({
    loaded,
    log,
    warnings,
    acceptAudit: flags.acceptAudit === true,
    beforeListen: () => port.close(),
    onFatal: (error) => {
      log.error({ err: error }, "cannot write to the database; exiting");
      const text = "the writer of the database ended; the server exits";
      void callForStore(loaded, log, text).finally(() => process.exit(EXIT.failure));
    },
  });
  if (!isNew) await warnOfBackups(config, app, log);
  await isRunning(context, loaded, app, lock, log);
  if (existsSync(join(config.dataDir, SPOOL_DIR))) await sendSpooled(app, log);
}

/** Of the time as a node of a cluster. */
async function sendSpooled(app: App, log: Logger): Promise<void> {
  const { sendOwnSpool } = await import("../../../app/own-spool.ts");
  await sendOwnSpool(app, log).catch((err: unknown) =>
    log.error({ err }, "cannot send to this server what it took as a node without a leader"),
  );
}

/** Says that the server is ready, and lets signals stop and reload it. */
async function isRunning(
  context: CommandContext,
  loaded: LoadedConfig,
  app: App,
  lock: DataDirLock,
  log: Logger,
): Promise<void> {
  // A process that waits for the ready line may send a signal at once.
  // The supervisor of a node passes on what a terminal sends.
  const isNode = loaded.config.cluster.servers.length > 0;
  stopOnSignals(log, () => stop(app, lock, log), isNode ? ["SIGTERM"] : undefined);
  reloadOnSignal(app, log);
  notifySystemd(log);
  await announce(context, loaded, app, log);
  freeMemoryWhenIdle(() => app.parts.base.store.collect());
}

function warningsOf(loaded: LoadedConfig): string[] {
  const ofNode = nodeWarning(Date.now());
  return [
    ...loaded.warnings,
    ...openSecretFiles(loaded).map((path) => `${path} ${OPEN_SECRETS}`),
    ...sharedDataDir(loaded.config),
    ...(ofNode === null ? [] : [ofNode]),
  ];
}

/** Who may write there may replace the database and the control socket. */
function sharedDataDir({ dataDir }: Config): string[] {
  const mode = statSync(dataDir).mode & 0o777;
  const shared = `other users of this machine may write the data directory ${dataDir} (mode ${mode.toString(8)})`;
  return process.platform === "win32" || (mode & 0o022) === 0 ? [] : [`${shared}: chmod 700 ${dataDir}`];
}

/** A database created by this start has no backup yet. */
async function warnOfBackups({ dataDir, env }: Config, app: App, log: Logger): Promise<void> {
  const { backupWarning } = await import("../../../features/records/backup/doctor.ts");
  const warning = backupWarning(env, newestBackupAt(dataDir, app.parts.base.store.lastBackupAt()));
  if (warning !== null) log.warn({}, `${warning}: schedule prism backup`);
}

/** Records of a lost database would contradict the new one. */
function forgetLost(config: Config): void {
  if (lostDatabase(config) === null) return;
  for (const file of notesOf(config.dataDir)) rmSync(file, { force: true });
}

/** @throws SchemaRefused for a newer database, CommandError 3 for an older one, 4 for none */
function requireCurrent(loaded: LoadedConfig): void {
  const pending = requireSomeDatabase(loaded);
  if (pending.length === 0) return;
  throw new CommandError(
    EXIT.refused,
    `the database lacks ${pending.join(", ")}; run prism migrate, or serve without --no-migrate`,
  );
}

async function announce({ out }: CommandContext, loaded: LoadedConfig, app: App, log: Logger): Promise<void> {
  const { config, origins } = loaded;
  const { host, env, dataDir } = config;
  const extraPorts = furtherPorts(config);
  const at = (port: number): string => localUrlOf(config, port);
  const base = at(app.port);
  const also = extraPorts.length > 0 ? `  also ${extraPorts.map(at).join(" ")}` : "";
  log.info({ port: app.port, extraPorts, host, env, dataDir, pid: process.pid }, "ready");
  out.note(`Prism is ready: ${base}  docs ${base}/docs  health ${base}/health${also}`);
  if (config.ntfy.port !== undefined)
    out.note(`Server URL for ntfy's app: ${networkUrlsOf(config, config.ntfy.port).join(" or ")}`);
  // The reader's shell may lack the flags and variables of this one.
  const isFound = !["flag", "environment"].includes(origins.get("dataDir") ?? "default");
  const there = isFound ? "" : ` --data-dir ${dataDir}`;
  if (env === "development") announceDevelopment(out, config, base, there);
  await announceConsole(out, app, `${publicUrlOf(config, app.port)}/dashboard/`, there);
}

function announceDevelopment(out: CommandContext["out"], config: Config, base: string, there: string): void {
  const where = isLoopback(config.host) ? "this machine only (HOST=0.0.0.0 changes it)" : config.host;
  out.note(`Development mode: listening on ${where}. For production set NODE_ENV=production.`);
  if (hasLocalPublicUrl(config))
    out.note(`Development: curl -s ${base}/dev/token returns a token of the administrator dev, on this machine only;`);
  else
    out.note(
      "Development: no /dev/token, because publicUrl names another host; " +
        `prism token create --user dev${there} creates a token,`,
    );
  out.note(`prism user passwd dev${there} sets a password for that account.`);
  out.note(`Commands on the same data directory use this server: prism tail${there}, prism send "Hello"${there}.`);
}

/**
 * The address of the console and the way in, last, so that it is found. The set-up link is shown on
 * a terminal, also with --quiet, because this is the only time.
 */
async function announceConsole(out: CommandContext["out"], app: App, dashboard: string, there: string): Promise<void> {
  const { firstAdmin } = app;
  const orByCommand = `or: prism user create --username admin --role Admin --password${there}`;
  if (firstAdmin.state === "setupToken") {
    process.stderr.write(
      `No administrator yet. Open this link, ${asTyped(orByCommand)}\n\n` +
        `Set-up link, shown this once: ${dashboard}setup#token=${firstAdmin.token}\n\n`,
    );
  } else if (firstAdmin.state === "awaited") {
    out.note(`No administrator yet. Open the set-up link that the first start printed, ${orByCommand}`);
  } else {
    out.note(`Console: ${dashboard}  prism user sign-in-link${there} prints a one-time link to sign in.`);
  }
  const link = await app.devSignInLink();
  if (link) out.note(`Sign in to the console as the administrator dev, once and within 15 minutes:\n\n  ${link.url}\n`);
}

function stop(app: App, lock: DataDirLock, log: Logger): void {
  app.stop().then(
    () => {
      lock.release();
      log.info({}, "stopped");
      process.exit(EXIT.done);
    },
    (error: unknown) => {
      log.error({ err: error }, "stopping the server failed");
      process.exit(EXIT.failure);
    },
  );
}

function reloadOnSignal(app: App, log: Logger): void {
  const reload = async (): Promise<void> => {
    const { inForce, needRestart } = app.reloadSources();
    log.info({ inForce }, "configuration reloaded");
    if (needRestart.length > 0) log.warn({ needRestart }, "some changed settings take effect at the next start");
    await app.services.audit.record({
      action: "config.reload",
      resourceType: "config",
      metadata: { inForce: [...inForce] },
    });
  };
  process.on("SIGHUP", () => {
    reload().catch((error: unknown) => {
      const reason = describeFailure(error)?.message;
      log.error(reason === undefined ? { err: error } : { reason }, "reloading the configuration failed");
    });
  });
}

/** Longer than one attempt of each way. */
const LIMIT_MS = 12_000;
/** Codes of failures that say that the store takes no writes. */
const STORE_CODES: ReadonlySet<string> = new Set(["DATA_DIR_REFUSED", "STORAGE_FULL", "DATABASE_UNAVAILABLE"]);

/**
 * Calls the ways of `emergency` for a server that ends, or does not start, because its store refuses
 * writes. Resolves when they have answered; at once for other errors, and without settings.
 */
async function callEmergency({ config }: LoadedConfig, log: Logger, error: unknown): Promise<void> {
  const failure = describeFailure(error);
  if (!failure || !STORE_CODES.has(failure.code)) return;
  await callForStore({ config }, log, `the server did not start: ${failure.summary}`);
}

/** As {@link callEmergency}, for a server whose writer has ended. */
async function callForStore({ config }: Pick<LoadedConfig, "config">, log: Logger, text: string): Promise<void> {
  const { Emergency } = await import("../../../features/health/emergency/emergency.ts");
  const emergency = new Emergency({
    ...{ dataDir: config.dataDir, clock: systemClock, log: log.namespace("emergency") },
    options: () => ({ ...config.emergency, proxy: config.proxy }),
    serverUrl: () => publicUrlOf(config, config.port),
  });
  emergency.raise("store-refuses-writes", { text });
  await emergency.settled(LIMIT_MS);
}

import type { Command } from "commander";
import type { App } from "../app.ts";
import { prepareDataDir } from "../base/data-dir.ts";
import type { Logger } from "../base/log.ts";
import type { LoadedConfig } from "../config/load.ts";
import { createLogger } from "../config/logger.ts";
import { DataDirLock } from "../store/data-dir-lock.ts";
import { migrateFile, pendingMigrations } from "../store/migrate-file.ts";
import { type Context, contextOf } from "./context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

interface ServeFlags {
  readonly port?: string;
  readonly host?: string;
  readonly dev?: boolean;
  readonly migrate?: boolean;
}

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the server")
    .option("--port <n>", "TCP port; 0 takes a free one")
    .option("--host <address>", "address to listen on")
    .option("--dev", "development mode, whatever NODE_ENV says")
    .option("--migrate", "bring the database up to date first (default)", true)
    .option("--no-migrate", "refuse to start on a database that is not up to date")
    .addHelpText(
      "after",
      "\nExamples:\n  $ prism serve\n  $ prism serve --port 8080 --data-dir /var/lib/prism\n  $ NODE_ENV=production prism serve",
    )
    .action(async (flags: ServeFlags, command: Command) => serve(contextOf(command), flags));
}

async function serve(context: Context, flags: ServeFlags): Promise<void> {
  const overrides = { port: flags.port, host: flags.host, env: flags.dev ? "development" : undefined };
  const loaded = context.loadConfig(overrides, true);
  const { config, warnings } = loaded;
  const log = createLogger({ level: config.log.level, debug: config.debug });
  prepareDataDir(config.dataDir);
  const lock = DataDirLock.tryAcquire(config.dataDir);
  if (!lock) throw new CommandError(EXIT.unreachable, `another Prism holds the data directory ${config.dataDir}`);
  for (const warning of warnings) log.warn({}, warning);
  if (config.env === "production" && !config.rateLimit.enabled)
    log.warn({}, "rateLimit.enabled is false: nothing limits requests");
  migrate(config.databaseFile, flags.migrate !== false, log);

  const { startApp } = await import("../app.ts");
  const app = await startApp({
    config,
    log,
    warnings,
    onFatal: (error) => {
      log.error({ err: error }, "nothing can be stored any more; ending");
      process.exit(EXIT.failure);
    },
  });
  announce(context, loaded, app, log);
  handleSignals(app, lock, log, () => {
    const next = context.loadConfig(overrides, true).config;
    log.reload({ level: next.log.level, debug: next.debug });
    app.reload(next);
  });
}

/** @throws SchemaRefused for a newer database, CommandError for an older one that may not be migrated. */
function migrate(file: string, mayMigrate: boolean, log: Logger): void {
  if (!mayMigrate) {
    const pending = pendingMigrations(file);
    if (pending.length === 0) return;
    throw new CommandError(
      EXIT.refused,
      `the database lacks ${pending.join(", ")}; run prism migrate, or serve without --no-migrate`,
    );
  }
  const applied = migrateFile(file);
  if (applied.length > 0) log.info({ applied }, "database migrated");
}

function announce({ out }: Context, { config }: LoadedConfig, app: App, log: Logger): void {
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const base = `http://${host === "0.0.0.0" ? "localhost" : host}:${app.port}`;
  log.info({ port: app.port, host: config.host, env: config.env, dataDir: config.dataDir, pid: process.pid }, "ready");
  out.note(`Prism is ready: ${base}  docs ${base}/docs  health ${base}/health`);
}

function handleSignals(app: App, lock: DataDirLock, log: Logger, reload: () => void): void {
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(EXIT.failure);
    isStopping = true;
    log.info({ signal }, "stopping");
    app.stop().then(
      () => {
        lock.release();
        log.info({}, "stopped");
        process.exit(EXIT.done);
      },
      (error: unknown) => {
        log.error({ err: error }, "stopping failed");
        process.exit(EXIT.failure);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => {
    try {
      reload();
      log.info({}, "configuration reloaded");
    } catch (error) {
      log.error({ err: error }, "the configuration was not reloaded");
    }
  });
}

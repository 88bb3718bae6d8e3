import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../../config/load.ts";
import { sealedBoxOf } from "../../../config/load.ts";
import { createLogger } from "../../../config/logger.ts";
import { COMMAND_LINE, runAs } from "../../../core/caller.ts";
import { systemClock } from "../../../core/clock.ts";
import { silentLogger } from "../../../core/log.ts";
import type { AccountContext } from "../../../features/access/context.ts";
import { bootstrap } from "../../../features/access/first-start.ts";
import type { UserContext } from "../../../features/access/users/create-user.ts";
import { AuditService } from "../../../features/audit/audit-log.ts";
import type { Database } from "../../../store/database.ts";
import { openStore, type Store } from "../../../store/store.ts";
import { type Context, refuseUrl } from "../../context.ts";
import { requireDatabase } from "../../data-dir.ts";

/** What administers a data directory from the command line. */
export interface AdminStore extends UserContext {
  readonly database: Database;
  /** Sees every commit whose promise is settled. */
  readonly reader: Sqlite;
  readonly audit: AuditService;
  readonly defaultProjectId: string;
  readonly config: Config;
  /**
   * What happens to accounts, and their passwords. Made when asked for, and ended with the command.
   */
  accounts(): Promise<AccountContext>;
}

/**
 * Runs `work` on the data directory's database, in the name of the operator. Beside a running
 * server this is safe: what `work` writes touches no table that holds an offset or a job, and the
 * server notices the commit.
 * @throws CommandError 2 for `--url`, 4 where there is no database; ConfigRefused, SchemaRefused,
 * UnsealError
 */
export async function withAdminStore<T>(
  context: Context,
  command: string,
  work: (store: AdminStore) => Promise<T>,
): Promise<T> {
  refuseUrl(context, command);
  return withExistingStore(context, work);
}

/**
 * {@link withAdminStore} on a database that must be there. @throws CommandError 3, 4 where it is
 * not, or is behind.
 */
export async function withExistingStore<T>(context: Context, work: (store: AdminStore) => Promise<T>): Promise<T> {
  const loaded = context.loadConfig("all");
  requireDatabase(loaded);
  return withStore(context, loaded.config, work);
}

async function withStore<T>(context: Context, config: Config, work: (store: AdminStore) => Promise<T>): Promise<T> {
  const store = open(context, config);
  let opened: AccountContext | undefined;
  try {
    return await runAs(COMMAND_LINE, async () => {
      const { database, reader } = store;
      const audit = new AuditService(database, systemClock);
      const isDevelopment = config.env === "development";
      const { defaultProjectId } = await bootstrap(database, reader, audit, systemClock, isDevelopment);
      const accounts = async (): Promise<AccountContext> => {
        opened ??= await openCliAccounts(config, database, audit);
        return opened;
      };
      const { timezone } = config;
      return work({ database, reader, audit, clock: systemClock, timezone, defaultProjectId, config, accounts });
    });
  } finally {
    await opened?.passwords.close();
    await store.close();
  }
}

async function openCliAccounts(config: Config, database: Database, audit: AuditService): Promise<AccountContext> {
  // Loaded by the few commands that need them.
  const [{ openAccounts }, { AccessTokens }] = await Promise.all([
    import("../../../features/access/context.ts"),
    import("../../../features/access/authenticate/access-tokens.ts"),
  ]);
  const { secrets, auth } = config;
  return openAccounts({
    config,
    db: database,
    audit,
    clock: systemClock,
    log: silentLogger,
    accessTokens: new AccessTokens({
      secret: secrets.access,
      previousSecrets: auth.previousAccessSecrets,
      audience: auth.audience,
      expiresMs: auth.accessExpires,
      clock: systemClock,
    }),
    publicUrl: () => config.publicUrl ?? "",
    // The server beside notices the commit by itself.
    // No command makes a link that is sent by mail: it prints the link.
    enqueueMail: () => Promise.reject(new TypeError("commands send no mail")),
  });
}

function open({ flags }: Context, config: Config): Store {
  return openStore({
    file: config.databaseFile,
    box: sealedBoxOf(config),
    // A thread would cost its start and serve nothing: the command waits for its commit anyway.
    writer: "main",
    isOwner: false,
    maxBytes: config.maxDbBytes,
    log: createLogger({
      level: flags.logLevel === undefined ? "error" : config.log.level,
      debug: config.debug,
      // Results are on stdout.
      destination: { write: (line) => void process.stderr.write(line) },
    }),
    onCommit: () => undefined,
    onWriterDeath: (error) => {
      throw error;
    },
  });
}

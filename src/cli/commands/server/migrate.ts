import { existsSync, rmSync } from "node:fs";
import { Argument, type Command } from "commander";
import type { Config, LoadedConfig } from "../../../config/load.ts";
import { generateSecrets } from "../../../config/secrets.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { reading } from "../../../store/sqlite/connection.ts";
import { migrateFile, migrationStatusOf } from "../../../store/sqlite/migrate.ts";
import { requireAlone } from "../../../store/store.ts";
import { notesOf } from "../../../store/write-health.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { makeCurrent, requireSomeDatabase, withDataDirLock } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { table } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { confirm } from "../access/prompt.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly backup?: boolean;
}

export function addMigrate(program: Command): void {
  single(program, "migrate", {
    text: "apply pending migrations, list them, or replace the database with an empty one",
    about: `up      makes a verified backup in backups/upgrade of the data directory, then applies pending migrations;
        exits 4 if some are pending while a server runs
status  lists applied and pending migrations; exits 8 if some are pending
reset   deletes the database with everything in it, and creates an empty one`,
    examples: ["", "status --json", "reset --dry-run"],
    args: { action: new Argument("[action]", "what to do").choices(["up", "status", "reset"]).default("up") },
    flags: {
      dryRun: ["--dry-run", "report what would be done, and change nothing"],
      backup: ["--no-backup", "with up: make no backup first (setting store.backupBeforeUpgrade)"],
      yes: ["--yes", "with reset: do not ask"],
      force: ["--force", "with reset: also in production"],
    },
    async act(context, { action, ...flags }) {
      refuseUrl(context, "migrate");
      const loaded = context.loadConfig("none");
      if (action === "status") showStatus(context, loaded);
      else if (action === "up") await up(context, loaded, flags);
      else await reset(context, loaded.config, flags);
    },
  });
}

async function up(context: CommandContext, loaded: LoadedConfig, flags: Flags): Promise<void> {
  const { config } = loaded;
  // A running server holds the lock; with a current schema there is nothing to do.
  const isCurrent = existsSync(config.databaseFile) && migrationStatusOf(config.databaseFile).pending.length === 0;
  if (flags.dryRun || isCurrent) return report(context, config, []);
  const withBackup = flags.backup === false ? false : undefined;
  await withDataDirLock(config, async () =>
    report(context, config, await makeCurrent(context, loaded, { withBackup })),
  );
}

function showStatus(context: CommandContext, loaded: LoadedConfig): void {
  const pending = requireSomeDatabase(loaded);
  report(context, loaded.config, []);
  if (pending.length > 0) {
    const what = countText(pending.length, "migration is", "migrations are");
    throw new CommandError(EXIT.checkFailed, `${what} missing; run prism migrate`);
  }
}

/** Current `applied` and `pending` migrations; new ones are also in `appliedNow`. */
function report({ out }: CommandContext, { databaseFile }: Config, appliedNow: readonly string[]): void {
  const { applied, pending } = migrationStatusOf(databaseFile);
  out.result({ applied: applied.map(({ name }) => name), pending, appliedNow }, () =>
    table(
      ["MIGRATION", "APPLIED"],
      [
        ...applied.map(({ name, appliedAt }) => [name, toRfc3339(appliedAt)] as const),
        ...pending.map((name) => [name, "no"] as const),
      ],
    ),
  );
  if (appliedNow.length > 0) out.note(`${appliedNow.length} applied to ${databaseFile}`);
}

async function reset(context: CommandContext, config: Config, { dryRun, yes, force }: Flags): Promise<void> {
  const { dataDir, databaseFile } = config;
  // Records of this database would contradict the next one.
  const parts = [databaseFile, `${databaseFile}-wal`, `${databaseFile}-shm`, ...notesOf(dataDir)];
  const files = parts.filter((file) => existsSync(file));
  if (dryRun) {
    context.out.result({ wouldDelete: files }, () => files.map((file) => `would delete ${file}`));
    return;
  }
  if (config.env === "production" && !force)
    throw new CommandError(EXIT.usage, "this is production; add --force to delete the database");
  if (!yes && !(await confirm(`Delete ${databaseFile} with everything in it?`)))
    throw new CommandError(EXIT.usage, "nothing was deleted; --yes deletes without asking");
  await withDataDirLock(config, () => {
    if (existsSync(databaseFile)) reading(databaseFile, requireAlone);
    for (const file of files) rmSync(file, { force: true });
    generateSecrets(config);
    report(context, config, migrateFile(databaseFile));
  });
}

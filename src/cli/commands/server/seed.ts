import type { Command } from "commander";
import type { App } from "../../../app/start.ts";
import type { LoadedConfig } from "../../../config/load.ts";
import { createLogger } from "../../../config/logger.ts";
import { COMMAND_LINE, runAs } from "../../../core/caller.ts";
import { type Context, contextOf, refuseUrl } from "../../context.ts";
import { makeCurrent, withDataDirLock } from "../../data-dir.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { table } from "../../output/output.ts";
import { confirm } from "../access/prompt.ts";
import type { Filled, SeededAccount } from "../seed/fill.ts";
import { DEMO, PLAIN, type SeedAmounts, sampleAccounts } from "../seed/samples.ts";

interface Flags {
  readonly demo?: boolean;
  readonly users?: number;
  readonly events?: number;
  readonly tasks?: number;
  readonly yes?: boolean;
}

export function addSeed(program: Command): void {
  program
    .command("seed")
    .description("create sample accounts, rules, tasks and events; a second run adds only what is missing")
    .option("--demo", "create more of each, and also a project, sound, schedule, message and more")
    .option("--users <n>", "number of accounts besides admin (default: 1, with --demo 5)", integerFlag(0, 1000))
    .option("--events <n>", "number of events (default: 20, with --demo 500)", integerFlag(0, 100_000))
    .option("--tasks <n>", "number of tasks (default: 5, with --demo 25)", integerFlag(0, 10_000))
    .option("--yes", "do not ask in production")
    .addHelpText(
      "after",
      `
It prints the passwords of new accounts on stdout, once. No server may run on the data directory: stop it first.

Examples:
  $ prism seed
  $ prism seed --demo --events 5000 --json`,
    )
    .action(async (flags: Flags, command: Command) => seed(contextOf(command), flags));
}

async function seed(context: Context, { demo = false, yes = false, ...given }: Flags): Promise<void> {
  refuseUrl(context, "seed");
  const loaded = context.loadConfig("all");
  const { config } = loaded;
  const amounts = { ...(demo ? DEMO : PLAIN), ...given };
  if (
    config.env === "production" &&
    !yes &&
    !(await confirm(`Create sample accounts and data in ${config.databaseFile}?`))
  )
    throw new CommandError(EXIT.usage, "this is production: nothing was created; --yes creates without asking");
  await withDataDirLock(config, async () => {
    makeCurrent(context, loaded, { opens: true });
    const app = await startAlone(context, loaded);
    try {
      await fill(context, app, amounts, demo);
    } finally {
      await app.stop();
    }
  });
}

async function fill(context: Context, app: App, amounts: SeedAmounts, isDemo: boolean): Promise<void> {
  const { seedAccounts, SeedFill } = await import("../seed/fill.ts");
  const { accounts } = app.parts.core.access;
  const progress = context.out.progress("creating accounts");
  const seeded = await runAs(COMMAND_LINE, () =>
    seedAccounts(accounts, sampleAccounts(amounts.users), progress),
  ).finally(() => progress.end());
  const usernames = seeded.map(({ username }) => username);
  const filled = await new SeedFill(app, context.out, usernames).run(amounts, isDemo).catch((error: unknown) => {
    // New passwords are known to this process alone, whatever became of the rest.
    if (seeded.some(({ password }) => password !== null)) show(context, seeded, { kinds: [], apiKey: null });
    throw error;
  });
  show(context, seeded, filled);
}

/** A server for this command alone, on a random port of this machine. */
async function startAlone(context: Context, loaded: LoadedConfig): Promise<App> {
  const { config } = loaded;
  const { startApp } = await import("../../../app/start.ts");
  return startApp({
    loaded: {
      ...loaded,
      config: {
        ...config,
        port: 0,
        host: "127.0.0.1",
        extraPorts: [],
        dashboardPort: undefined,
        tls: { certFile: undefined, keyFile: undefined },
        rateLimit: { ...config.rateLimit, enabled: false },
      },
    },
    log: createLogger({
      level: context.flags.logLevel === undefined ? "error" : config.log.level,
      debug: config.debug,
      // Results are on stdout.
      destination: { write: (line) => void process.stderr.write(line) },
    }),
    onFatal: (error) => {
      throw error;
    },
  });
}

function show({ out }: Context, accounts: readonly SeededAccount[], { kinds, apiKey }: Filled): void {
  const made = accounts.filter(({ password }) => password !== null);
  const all = [{ kind: "accounts", made: made.length, kept: accounts.length - made.length }, ...kinds];
  const perKind = (key: "made" | "kept") => Object.fromEntries(all.map((each) => [each.kind, each[key]]));
  out.result({ accounts, made: perKind("made"), kept: perKind("kept"), apiKey }, () => [
    ...table(
      ["KIND", "CREATED", "EXISTED"],
      all.map((each) => [each.kind, each.made, each.kept]),
    ),
    ...(made.length === 0 ? [] : ["", ...accountLines(made)]),
    ...(apiKey === null ? [] : ["", `API key of the project shop: ${apiKey}`]),
  ]);
  if (made.length > 0) out.note("The passwords are not shown again.");
}

function accountLines(accounts: readonly SeededAccount[]): string[] {
  return table(
    ["USERNAME", "EMAIL", "ROLE", "PASSWORD"],
    accounts.map(({ username, email, role, password }) => [username, email, role, password]),
  );
}

import { Command } from "commander";
import { VERSION } from "../core/runtime.ts";
import { addKey, addToken } from "./commands/access/key.ts";
import { addNotifications } from "./commands/access/notifications.ts";
import { addProjects } from "./commands/access/projects.ts";
import { addUser } from "./commands/access/user.ts";
import { addAlerts } from "./commands/alerts/alerts.ts";
import { addDrill } from "./commands/alerts/drill.ts";
import { addHeartbeats } from "./commands/alerts/heartbeats.ts";
import { addIncidents, addPage } from "./commands/alerts/incidents.ts";
import { addOnCall } from "./commands/alerts/oncall.ts";
import { addPolicies, addRoutes } from "./commands/alerts/policies.ts";
import { addSilences } from "./commands/alerts/silences.ts";
import { addQueue } from "./commands/jobs/queue.ts";
import { addSchedules, addTimers } from "./commands/jobs/timers.ts";
import { addReceivers } from "./commands/receivers/receivers.ts";
import { addExplain } from "./commands/rules/explain.ts";
import { addRules } from "./commands/rules/rules.ts";
import { addSend } from "./commands/rules/send.ts";
import { addTrigger } from "./commands/rules/trigger.ts";
import { addApi } from "./commands/server/api.ts";
import { addBackup, addRestore, addVacuum } from "./commands/server/backup.ts";
import { addChannels } from "./commands/server/channels.ts";
import { addCluster } from "./commands/server/cluster.ts";
import { addCompletion } from "./commands/server/completion.ts";
import { addConfig } from "./commands/server/config.ts";
import { addDocs, addMan } from "./commands/server/docs.ts";
import { addDoctor } from "./commands/server/doctor.ts";
import { addExport } from "./commands/server/export.ts";
import { addHealth } from "./commands/server/health.ts";
import { addImport } from "./commands/server/import-alertmanager.ts";
import { addIntegrations } from "./commands/server/integrations.ts";
import { addMigrate } from "./commands/server/migrate.ts";
import { addNtfy } from "./commands/server/ntfy.ts";
import { addSeed } from "./commands/server/seed.ts";
import { addServe } from "./commands/server/serve.ts";
import { addService } from "./commands/server/service.ts";
import { addStatus } from "./commands/server/status.ts";
import { addStored } from "./commands/server/stored.ts";
import { addTail } from "./commands/server/tail.ts";
import { addWebhooks } from "./commands/server/webhooks.ts";
import { addWorker } from "./commands/server/worker.ts";
import { addHelp } from "./output/flag-values.ts";
import { cliLog } from "./output/output.ts";
import {
  endOnInterrupt,
  endQuietlyOnBrokenPipe,
  exitOnUncaught,
  keepDebuggerClosed,
  reportFailure,
  wantsJson,
} from "./output/process-ends.ts";

const LINGER_MS = 1000;

/** Runs one command line and sets the exit code; long-running commands go on after it resolves. */
export async function main(argv: readonly string[]): Promise<void> {
  // Only the owner may read files that Prism writes: the database, its log, secrets and exports.
  process.umask(0o077);
  keepDebuggerClosed();
  endOnInterrupt();
  endQuietlyOnBrokenPipe();
  exitOnUncaught(reportFailure);
  const program = buildProgram();
  try {
    await program.parseAsync(withVersionCommand(argv));
  } catch (error) {
    process.exitCode = reportFailure(error);
    // A thread or a timer that a failed start leaves behind must not keep the process; what closes
    // in order has time to.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

/**
 * `prism --version --all` is `prism version --all`: as a global flag, `--all` would be taken from the
 * commands that have one.
 */
function withVersionCommand(argv: readonly string[]): string[] {
  const [node = "", script = "", ...words] = argv;
  const others = words.filter((word) => word !== "--version" && word !== "-v");
  const isOfAll =
    others.length < words.length && others.includes("--all") && others.every((word) => word.startsWith("-"));
  return isOfAll ? [node, script, "version", ...others] : [...argv];
}

/** Every command, with its flags and help. */
export function buildProgram(): Command {
  const program = new Command("prism")
    .description("Self-hosted alerting, notification and scheduling: one executable on SQLite")
    .version(VERSION, "-v, --version", "print the version; with --all also those of its parts")
    .option("--config <file>", "configuration file (default: ./prism.config.json, then /etc/prism/prism.config.json)")
    .option("--data-dir <dir>", "data directory, with the database and control socket (or PRISM_DATA_DIR)")
    .option("--url <base>", "URL of a server (default: PRISM_URL, then the server of the data directory)")
    .option(
      "--token <token>",
      "service token or API key for that server; PRISM_TOKEN and PRISM_TOKEN_FILE keep it out of process lists",
    )
    .option("--json", "print one JSON document on stdout, or NDJSON for streams")
    .option("--quiet", "print nothing on stderr except errors")
    .option("--no-color", "do not colour the output (or NO_COLOR)")
    .option("--log-level <level>", "lowest level to log: error, warn, info or debug")
    // The settings that commands inherit must stand before the commands are added.
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "prism: ")),
      // With --json reportFailure prints the error, and nothing else is on stderr.
      ...(wantsJson() ? { writeErr: () => undefined } : {}),
    })
    .showSuggestionAfterError()
    .helpCommand(false)
    // Without the arguments: a token may be among them.
    .hook("preAction", (_, command) => cliLog().debug({ version: VERSION, command: command.name() }, "begins"))
    .exitOverride()
    .addHelpText(
      "after",
      `
Exit codes: 0 done, 1 failure, 2 usage, 3 configuration or schema refused, 4 server or database not reachable,
5 not authorised, 6 not found, 7 conflict or invalid input, 8 check failed, 130 interrupted.

DEBUG=prism:* logs what a command does to stderr; DEBUG=prism:cli logs the steps of the command line only.

Examples:
  $ prism serve
  $ prism user create --username admin --role Admin
  $ export PRISM_TOKEN=$(prism token create --user admin)
  $ prism tail`,
    );
  program.commandsGroup("Server:");
  addServe(program);
  addMigrate(program);
  addSeed(program);
  addBackup(program);
  addRestore(program);
  addVacuum(program);
  addCluster(program);
  addDoctor(program);
  addConfig(program);
  addStatus(program);
  addHealth(program);
  addApi(program);
  addService(program);
  program.commandsGroup("Events and rules:");
  addSend(program);
  addTail(program);
  addStored(program);
  addTrigger(program);
  addExport(program);
  addExplain(program);
  addRules(program);
  addNotifications(program);
  addChannels(program);
  addWebhooks(program);
  addImport(program);
  program.commandsGroup("Alerts:");
  addAlerts(program);
  addIncidents(program);
  addPage(program);
  addDrill(program);
  addSilences(program);
  addOnCall(program);
  addHeartbeats(program);
  addReceivers(program);
  addIntegrations(program);
  addPolicies(program);
  addRoutes(program);
  program.commandsGroup("Jobs:");
  addQueue(program);
  addTimers(program);
  addSchedules(program);
  addWorker(program);
  program.commandsGroup("Access:");
  addProjects(program);
  addNtfy(program);
  addUser(program);
  addToken(program);
  addKey(program);
  program.commandsGroup("Help:");
  addDocs(program);
  addHelp(program);
  addCompletion(program);
  addMan(program);
  return program;
}

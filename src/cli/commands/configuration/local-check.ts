import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileConfiguration } from "../../../config/files/file-objects.ts";
import type { FilePosition, FileProblem } from "../../../config/files/read-files.ts";
import { nearestName } from "../../../config/nearest.ts";
import { silentLogger } from "../../../core/log.ts";
import { type Clock, DAY_MS, systemClock } from "../../../core/time/clock.ts";
import type { ConfigurationContext } from "../../../features/records/configuration/reading.ts";
import { ControlTransport } from "../../../remote/control-transport.ts";
import { ServerClient } from "../../../remote/server-client.ts";
import type { CommandContext } from "../../context.ts";
import { cleaningUp } from "../../output/process-ends.ts";
import { callOf, listOf } from "../../resource.ts";
import { placed } from "./given-files.ts";
import { type ConfigTest, type ConfigTestResult, readTests, runTests, type WaysOf } from "./run-tests.ts";

/* Checks configuration files and runs their tests on an empty database of this process: without a server or a network. */

/** What a check of files finds. */
export interface LocalCheck {
  readonly problems: readonly FileProblem[];
  /** What the files name and do not define. */
  readonly warnings: readonly FileProblem[];
  /** Of valid files only. */
  readonly tests: readonly PlacedTest[];
}

/** A test with its place in the files. */
export type PlacedTest = ConfigTestResult & FilePosition;

/** Applies the files to an empty database, and runs their tests on it. @param isRuntime whether what is made once counts for them */
export async function checkLocally(
  { out }: CommandContext,
  files: FileConfiguration,
  isRuntime = false,
): Promise<LocalCheck> {
  const { tests, problems } = testsIn(files);
  return withEmptyPrism(clockFor(tests), out, async (server, context) => {
    const { checkObjects } = await import("../../../features/records/configuration/check.ts");
    const found = await checkObjects(context, files.objects, { entries: files.runtime, isRuntime });
    const all = [...placed(files, found.problems), ...problems];
    const warnings = placed(files, found.warnings);
    if (all.length > 0 || tests.length === 0) return { problems: all, warnings, tests: [] };
    await approvePeople(server);
    const people = (await listOf(server, "listUsers", {})).flatMap(({ username }) => username ?? []);
    const results = await runTests(server, tests, waysIn(files));
    return {
      problems: all,
      warnings: [...warnings, ...unknownPeople(files, tests, people)],
      tests: results.map((each, index) => ({ ...each, ...files.positionOfTest(index) })),
    };
  });
}

function testsIn(files: FileConfiguration) {
  const now = new Date().toISOString();
  const given = files.tests.map((test) => ("event" in test || test["at"] !== undefined ? test : { ...test, at: now }));
  const { tests, problems } = readTests(given);
  const found = problems.map(({ path = "", code = "VALUE", message }): FileProblem => {
    const [index = "0", ...member] = path.split(".");
    const place = files.positionOfTest(Number(index), member.join("."));
    return { ...place, code, message: `tests ${path}: ${message}`, fix: "see prism docs cli-configuration" };
  });
  return { tests, problems: found };
}

/** People of `never` whom nothing else names: a misspelled name would never fail. */
function unknownPeople(files: FileConfiguration, tests: readonly ConfigTest[], people: readonly string[]) {
  return tests.flatMap(({ expect }, test) => {
    const never = "never" in expect ? (expect.never ?? []) : [];
    return never.flatMap((name, index): FileProblem | readonly [] => {
      if (people.includes(name)) return [];
      const nearest = nearestName(name, people);
      return {
        ...files.positionOfTest(test, `expect.never.${index}`),
        ...{ code: "NOT_IN_FILES", message: `tests ${test}.expect.never.${index}: ${name} is not in the files` },
        fix: nearest === undefined ? "add the person, unless the server has it already" : `did you mean ${nearest}?`,
      };
    });
  });
}

/** Ways by the contact rules of the files: nobody has a device here. */
function waysIn({ objects }: FileConfiguration): WaysOf {
  type Rules = Readonly<Record<string, readonly { readonly channels: readonly string[] }[]>>;
  const people = objects.filter(({ kind }) => kind === "people").map(({ spec }) => spec);
  const known = new Map(people.map((each) => [String(each["username"]).toLowerCase(), each["contactRules"] as Rules]));
  return (username, urgency) => known.get(username)?.[urgency]?.flatMap(({ channels }) => channels);
}

/** Begins before the first test: a schedule is empty until it is made. */
function clockFor(tests: readonly ConfigTest[]): Clock {
  const times = tests.flatMap((test) => ("event" in test || test.at === undefined ? [] : [test.at]));
  const behindMs = Date.now() - Math.min(Date.now(), ...times) + DAY_MS;
  return { now: () => Date.now() - behindMs, elapsed: () => performance.now() };
}

/** Those whom files invite are notified as soon as they have accepted. */
async function approvePeople(server: ServerClient): Promise<void> {
  for (const { id, roles } of await listOf(server, "listUsers", { status: "pending" }))
    await callOf(server, "approveUser", { id, roles });
}

/** Reads nothing of this machine: no settings, data, or variables. */
async function withEmptyPrism<T>(
  clock: Clock,
  out: CommandContext["out"],
  work: (server: ServerClient, context: ConfigurationContext) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), "prism-check-"));
  const remove = () => rmSync(dataDir, { recursive: true, force: true });
  return cleaningUp(remove, async () => {
    try {
      const { app, path } = await startEmpty(dataDir, clock);
      const transport = new ControlTransport(path);
      try {
        const server = new ServerClient({ base: "the check", token: undefined, transport }, out);
        return await work(server, app.parts.features.context);
      } finally {
        transport.close();
        await app.stop();
      }
    } finally {
      remove();
    }
  });
}

async function startEmpty(dataDir: string, clock: Clock) {
  const { loadConfig } = await import("../../../config/load.ts");
  const { migrateFile } = await import("../../../store/sqlite/migrate.ts");
  const { startCommandApp } = await import("../../../app/start.ts");
  const environment = {
    ...{ NODE_ENV: "production", PRISM_CONFIG_DIR: dataDir, PRISM_MIN_FREE_BYTES: "0" },
    PRISM_ENCRYPTION_KEY: randomBytes(32).toString("hex"),
  };
  const sources = { flags: { dataDir }, environment, workingDir: dataDir, configFile: undefined };
  const loaded = loadConfig({ ...sources, secrets: "encryption" });
  const offline = { ...loaded, config: { ...loaded.config, isOffline: true } as const };
  migrateFile(loaded.config.databaseFile);
  const onFatal = (error: Error): never => {
    throw error;
  };
  const options = { loaded: offline, log: silentLogger, clock, onFatal };
  const app = await startCommandApp(options, join(dataDir, "command.sock"));
  return { app, path: app.socket };
}

/** The JSON schema of configuration files. */
export function fileSchema({ out }: CommandContext): Promise<object> {
  return withEmptyPrism(systemClock, out, async (_server, context) => {
    const { configurationSchema } = await import("../../../features/records/configuration/file-schema.ts");
    return configurationSchema(context);
  });
}

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { ChildOutput } from "../helpers/child-output.ts";
import { runHosted } from "./command-hosts.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, "dist/prism");
/**
 * The executable if it was built from these sources, because it starts fastest; otherwise the
 * sources, as scripts/test.mjs has compiled them.
 */
const PROGRAM = isCurrent() ? [built] : [process.execPath, ...sources()];

/** Starts a process for several commands; null where none can check that a command left nothing. */
const HOST = hostProgram();

function hostProgram(): readonly string[] | null {
  const compiled = process.env["TEST_COMPILED"];
  if (compiled === undefined || PROGRAM[0] !== built || process.platform !== "linux") return null;
  if (!existsSync(join(root, ".build/assets.json"))) return null;
  return [process.execPath, join(compiled, "test/cli/command-host.js"), root, built];
}

function sources(): readonly string[] {
  const compiled = process.env["TEST_COMPILED"];
  if (compiled !== undefined) return [join(compiled, "bin/prism.js")];
  return ["--import", import.meta.resolve("tsx"), join(root, "bin/prism.ts")];
}

/** The words that start the program of this checkout. */
export function executableOf(): readonly string[] {
  return PROGRAM;
}

export interface CliOptions {
  /** Working directory; `./data` in it is the default data directory. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stdin holds. */
  readonly input?: string;
  /** Default: the executable of this checkout, or its sources. */
  readonly executable?: string;
  /** The process is the subject of the test: its id, its end, its locks beside those of others. */
  readonly ownProcess?: boolean;
}

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, with nothing of this shell's settings. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  if (HOST !== null && canBeHosted(args, options)) {
    const { cwd, input = "" } = options;
    return runHosted(HOST, { args, cwd, env: environment(built, options), input });
  }
  const child = spawnCli(args, options);
  const output = new ChildOutput(child);
  // A command that never reads it closes it first.
  child.stdin?.on("error", () => undefined).end(options.input ?? "");
  const { code: status } = await output.ended;
  return { status, stdout: output.stdout, stderr: output.stderr };
}

/** Commands that run until they are stopped end their process themselves. */
const LONG_RUNNING = /^(serve|tail|worker)$/;
/** What Node and libraries read as a process starts. */
const READ_AT_START = /^(NODE_(?!ENV$)|LD_|SSL_|UV_|OPENSSL_|PRISM_CACHE_DIR|XDG_CACHE_HOME|LANG|LC_|TZ)/;

function canBeHosted(args: readonly string[], { env, executable, ownProcess }: CliOptions): boolean {
  if (ownProcess || executable !== undefined || args.some((argument) => LONG_RUNNING.test(argument))) return false;
  return !Object.keys(env ?? {}).some((name) => READ_AT_START.test(name));
}

/** The JSON document that a command printed. @throws when it failed or printed something else */
export async function runJson<T>(args: readonly string[], options: CliOptions): Promise<T> {
  const { status, stdout, stderr } = await runCli([...args, "--json"], options);
  if (status !== 0) throw new Error(`prism ${args.join(" ")} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Makes the database of a directory, which only serve, migrate and seed do. */
export async function makeDatabase(options: CliOptions): Promise<void> {
  const { status, stderr } = await runCli(["migrate"], options);
  if (status !== 0) throw new Error(`prism migrate ended with ${status}: ${stderr}`);
}

/** Runs named cases, each a subtest, one at a time: commands that lock the same data directory would wait. */
export async function eachCase<C extends { readonly name: string }>(
  t: TestContext,
  what: string,
  cases: readonly C[],
  run: (c: C) => Promise<void>,
): Promise<void> {
  await t.test(what, async (group) => {
    for (const c of cases) await group.test(c.name, () => run(c));
  });
}

/** Lines of NDJSON. */
export function jsonLines<T>(text: string): T[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

/** A command that runs until it is stopped, killed when the test ends. */
export class RunningCli {
  readonly #child: ChildProcess;
  readonly #output: ChildOutput;

  constructor(t: TestContext, args: readonly string[], options: CliOptions) {
    this.#child = spawnCli(args, options);
    this.#output = new ChildOutput(this.#child);
    t.after(() => this.#output.stop());
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Waits until both outputs together match. @throws when the command ends before */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#output.until(String(pattern), () => pattern.exec(`${this.stdout}\n${this.stderr}`));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns the exit code; null when a signal ended it. @throws when it could not be started */
  async ended(): Promise<number | null> {
    return (await this.#output.ended).code;
  }
}

/** Program and arguments that run a command, for tests that start it in their own way. */
export function commandLine(args: readonly string[]): [string, string[]] {
  const [program = built, ...first] = PROGRAM;
  return [program, [...first, ...args]];
}

function spawnCli(args: readonly string[], options: CliOptions): ChildProcess {
  const { cwd, executable } = options;
  const [program, all] = executable ? [executable, args] : commandLine(args);
  return spawn(program, all, { cwd, env: environment(program, options), stdio: ["pipe", "pipe", "pipe"] });
}

/** The configuration of the machine that runs the tests is not theirs. */
function environment(program: string, { cwd, env }: CliOptions): Record<string, string> {
  return {
    // As where Prism is installed: messages then name commands as `prism …`.
    PATH: `${dirname(program)}:${process.env["PATH"]}`,
    HOME: cwd,
    PRISM_CONFIG_DIR: join(cwd, "etc"),
    PRISM_MIN_FREE_BYTES: "0",
    // Otherwise each folder gets the addons, 9 MB.
    PRISM_CACHE_DIR: nativeCache(),
    ...env,
  };
}

/** How the file of a data directory's database is called. */
export function databaseIn(dataDir: string): string {
  return join(dataDir, "prism.db");
}

let cache: string | undefined;

/** The folder into which the executable unpacks its addons, one for each process of tests. */
function nativeCache(): string {
  if (cache !== undefined) return cache;
  const made = mkdtempSync(join(tmpdir(), "prism-cache-"));
  process.once("exit", () => rmSync(made, { recursive: true, force: true }));
  cache = made;
  return made;
}

/** As scripts/ready.mjs sees it, which has built it before `npm test` comes here. */
function isCurrent(): boolean {
  if (!existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  return ["src", "migrations", "build.mjs", "package-lock.json", "package.json", "scripts/collect.mjs"].every((name) =>
    filesIn(join(root, name)).every((path) => path.endsWith(".gen.ts") || statSync(path).mtimeMs < builtAt),
  );
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesIn(join(path, name)));
}

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { ChildOutput } from "../helpers/child-output.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, "dist/prism");
/**
 * The executable if it was built from these sources, because it starts fastest; otherwise the
 * sources, as scripts/test.mjs has compiled them.
 */
const PROGRAM = isCurrent() ? [built] : [process.execPath, ...sources()];

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
}

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, with nothing of this shell's settings. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const child = spawnCli(args, options);
  const output = new ChildOutput(child);
  // A command that never reads it closes it first.
  child.stdin?.on("error", () => undefined).end(options.input ?? "");
  const { code: status } = await output.ended;
  return { status, stdout: output.stdout, stderr: output.stderr };
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

/**
 * Runs named cases, each a subtest. @param atOnce 1 where they would wait for each other, as
 * commands do that lock the same data directory
 */
export async function eachCase<C extends { readonly name: string }>(
  t: TestContext,
  what: string,
  cases: readonly C[],
  run: (c: C) => Promise<void>,
  atOnce = 2,
): Promise<void> {
  await t.test(what, { concurrency: atOnce }, async (group) => {
    await Promise.all(cases.map((c) => group.test(c.name, () => run(c))));
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

function spawnCli(args: readonly string[], { cwd, env, executable }: CliOptions): ChildProcess {
  const [program, all] = executable ? [executable, args] : commandLine(args);
  return spawn(program, all, {
    cwd,
    // The configuration of the machine that runs the tests is not theirs.
    env: {
      // As where Prism is installed: messages then name commands as `prism …`.
      PATH: `${dirname(program)}:${process.env["PATH"]}`,
      HOME: cwd,
      PRISM_CONFIG_DIR: join(cwd, "etc"),
      PRISM_MIN_FREE_BYTES: "0",
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

/** How the file of a data directory's database is called. */
export function databaseIn(dataDir: string): string {
  return join(dataDir, "prism.db");
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

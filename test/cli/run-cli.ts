import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../helpers/eventually.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const built = join(root, "dist/prism");
/**
 * The executable where it is made of these very sources: it starts in an eighth of the time that
 * the loader takes. Else the sources.
 */
const PROGRAM = isCurrent()
  ? [built]
  : [process.execPath, "--import", import.meta.resolve("tsx"), join(root, "bin/prism.ts")];

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
  // A command that never reads it closes it first.
  child.stdin?.on("error", () => undefined).end(options.input ?? "");
  const [stdout, stderr, status] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  return { status, stdout, stderr };
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

/** Runs named cases, each a subtest, two at a time: every one waits for a process of its own. */
export async function eachCase<C extends { readonly name: string }>(
  t: TestContext,
  what: string,
  cases: readonly C[],
  run: (c: C) => Promise<void>,
): Promise<void> {
  await t.test(what, { concurrency: 2 }, async (group) => {
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

/** A command that goes on until it is stopped, killed when the test ends. */
export class RunningCli {
  stdout = "";
  stderr = "";
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  constructor(t: TestContext, args: readonly string[], options: CliOptions) {
    this.#child = spawnCli(args, options);
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#ended = new Promise((resolve) => this.#child.once("close", resolve));
    t.after(async () => {
      this.#child.kill("SIGKILL");
      await this.#ended;
    });
  }

  /** Waits until both outputs together say something. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    return eventually(`${pattern} in:\n${this.stdout}${this.stderr}`, () =>
      pattern.exec(`${this.stdout}\n${this.stderr}`),
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns the exit code; null when a signal ended it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }
}

function spawnCli(args: readonly string[], { cwd, env, executable }: CliOptions): ChildProcess {
  const [program = built, ...first] = executable ? [executable] : PROGRAM;
  return spawn(program, [...first, ...args], {
    cwd,
    // The configuration of the machine that runs the tests is not theirs.
    env: {
      PATH: process.env["PATH"],
      HOME: cwd,
      PRISM_CONFIG_DIR: join(cwd, "etc"),
      PRISM_MIN_FREE_BYTES: "0",
      ...env,
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = "";
  for await (const chunk of stream ?? []) text += chunk.toString();
  return text;
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

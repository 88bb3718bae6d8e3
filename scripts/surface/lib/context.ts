import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Placeholders } from "./placeholders.ts";

/** A Wednesday morning: what depends on the time of day is the same in each recording. */
const STARTS_AT = Date.UTC(2026, 10, 25, 10, 30);
/** Later than what comes before `slowDown` takes on a busy machine. */
const SLOW_AFTER_MS = 7.5 * 60_000;
const SLOW_RATE = 1 / 100;
const COMMAND_MS = 5 * 60_000;
const STOP_MS = 20_000;
const preload = join(import.meta.dirname, "preload.cjs");
const cache = join(import.meta.dirname, "../../../.build/surface/cache");

export interface Ended {
  /** The exit code; null for a command that a signal ended. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A running `prism serve`. */
export interface Served {
  readonly url: string;
  readonly dir: string;
  /** All that it has printed. */
  output(): string;
  stop(): Promise<void>;
}

/** What a recorder gets: one build, an empty folder to work in, and the way to write its text files. */
export class Context {
  /** Folder with `prism`, `module.d.ts` and `prism-client/`. */
  readonly dist: string;
  readonly executable: string;
  /** Folder of the build that others are compared with: what both are asked is derived from it. */
  readonly baseline: string;
  /** An empty folder; it is removed after the recording. */
  readonly scratch: string;
  readonly #out: string;
  #clock = { from: Date.now(), at: STARTS_AT, rate: 1 };
  readonly #running = new Set<ChildProcess>();

  constructor(dist: string, scratch: string, out: string, baseline = dist) {
    this.dist = dist;
    this.baseline = baseline;
    this.executable = join(dist, "prism");
    this.scratch = scratch;
    this.#out = out;
    mkdirSync(out, { recursive: true });
    rmSync(this.statementsFile, { force: true });
    mkdirSync(cache, { recursive: true });
  }

  /** The file to which every process of this recording appends the SQL statements that it compiles. */
  get statementsFile(): string {
    return `${this.#out}.statements`;
  }

  /** What the processes of all recorders of this build have compiled, each statement once. */
  allStatements(): Set<string> {
    const files = readdirSync(dirname(this.#out)).filter((name) => name.endsWith(".statements"));
    const texts = files.map((name) => readFileSync(join(dirname(this.#out), name), "utf8"));
    return new Set(
      texts.flatMap((text) =>
        text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as string),
      ),
    );
  }

  /** Writes one file of the recording; `name` may have a folder. */
  write(name: string, text: string): void {
    const file = join(this.#out, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text.endsWith("\n") ? text : `${text}\n`);
  }

  /** The time that recorded processes see, in milliseconds. */
  now(): number {
    const { from, at, rate } = this.#clock;
    return Math.floor(at + (Date.now() - from) * rate);
  }

  /**
   * From now on, processes that start see a clock that begins at the same time in each recording and
   * hardly moves: what becomes due by itself does so before the first request, or not at all.
   * @param rate of the clock
   * @param afterMs time since the start of the recording that it begins at
   */
  slowDown(rate = SLOW_RATE, afterMs = SLOW_AFTER_MS): void {
    this.#clock = { from: Date.now(), at: STARTS_AT + afterMs, rate };
  }

  /** Placeholders that also stand for the folders and the executable of this recording. */
  placeholders(): Placeholders {
    return new Placeholders({ [this.scratch]: "<scratch>", [this.executable]: "prism", [this.dist]: "<dist>" });
  }

  /** Runs one command to its end, with a clean environment. */
  async run(args: readonly string[], { env = {}, input = "" }: RunOptions = {}): Promise<Ended> {
    const child = this.#spawn(args, env);
    const texts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        texts[name] += text;
      });
    child.stdin?.on("error", () => undefined).end(input);
    const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_MS);
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    if (child.signalCode === "SIGKILL") throw new Error(`prism ${args.join(" ")} did not end:\n${texts.stderr}`);
    return { status, ...texts };
  }

  /**
   * Starts a server on a free port and waits until it is ready.
   * @param name of its data directory, in the scratch folder; an existing one is used as it is
   * @param dist folder of another build, such as {@link baseline}
   */
  async serve(
    name: string,
    env: Readonly<Record<string, string>> = {},
    args: readonly string[] = [],
    dist = this.dist,
  ): Promise<Served> {
    const dir = join(this.scratch, name);
    const child = this.#spawn(["serve", "--port", "0", "--data-dir", dir, ...args], env, join(dist, "prism"));
    let text = "";
    const read = (part: string): void => {
      text += part;
    };
    child.stdout?.setEncoding("utf8").on("data", read);
    child.stderr?.setEncoding("utf8").on("data", read);
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const ready = (): RegExpExecArray | null => /Prism is ready: (http:\/\/[^\s/]+)/.exec(text);
    while (ready() === null) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${text}`);
      await sleep(20);
    }
    return {
      url: ready()?.[1] ?? "",
      dir,
      output: () => text,
      async stop() {
        child.kill("SIGTERM");
        await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false }).then(() => child.kill("SIGKILL"))]);
        await ended;
      },
    };
  }

  /** Ends what a failed recorder has left running. */
  end(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }

  #spawn(args: readonly string[], env: Readonly<Record<string, string>>, executable = this.executable): ChildProcess {
    const child = spawn(executable, args, {
      cwd: this.scratch,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: this.scratch,
        XDG_CACHE_HOME: cache,
        LANG: "C.UTF-8",
        TZ: "UTC",
        NODE_OPTIONS: `--require ${preload}`,
        SURFACE_CLOCK: `${this.#clock.from} ${this.#clock.at} ${this.#clock.rate}`,
        SURFACE_STATEMENTS: this.statementsFile,
        ...env,
      },
    });
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }
}

/** A file `scripts/surface/<name>.ts` exports this as `record`; it writes to the folder `<name>` of the recording. */
export type Recorder = (context: Context) => Promise<void>;

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";

export interface HostedCommand {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What stdin holds. */
  readonly input: string;
  /** Written to both outputs after the command. */
  readonly mark: string;
}

interface HostedResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A host takes 150 MB. */
const MOST_IDLE = 2;

const idle: CommandHost[] = [];

/** Runs a command in a process that runs one after the other. @param program starts one (command-host.ts) */
export async function runHosted(
  program: readonly string[],
  command: Omit<HostedCommand, "mark">,
): Promise<HostedResult> {
  const host = idle.pop() ?? new CommandHost(program);
  const result = await host.run(command);
  if (host.isRunning && idle.length < MOST_IDLE) idle.push(host);
  else host.stop();
  return result;
}

class CommandHost {
  isRunning = true;
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;
  readonly #ended: Promise<[code: number | null]>;
  #stdout = Buffer.alloc(0);
  #stderr = Buffer.alloc(0);

  constructor([program = "", ...args]: readonly string[]) {
    // A command sees a pipe on stdin, and reads what the host has been sent.
    this.#child = spawn(program, args, { cwd: "/", env: {}, stdio: ["pipe", "pipe", "pipe", "ipc"] });
    this.#ready = once(this.#child, "message");
    this.#ended = once(this.#child, "close") as Promise<[number | null]>;
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout = Buffer.concat([this.#stdout, chunk]);
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk]);
    });
  }

  async run(command: Omit<HostedCommand, "mark">): Promise<HostedResult> {
    this.#keepProcess(true);
    await this.#ready;
    const mark = `\0${randomUUID()}\0`;
    this.#stdout = Buffer.alloc(0);
    this.#stderr = Buffer.alloc(0);
    this.#child.send({ ...command, mark } satisfies HostedCommand);
    const status = await Promise.race([this.#finished(mark), this.#ended.then(([code]) => code)]);
    this.isRunning = this.#stdout.includes(mark);
    if (this.isRunning) this.#keepProcess(false);
    return { status, stdout: without(mark, this.#stdout), stderr: without(mark, this.#stderr) };
  }

  stop(): void {
    if (this.isRunning) this.#child.disconnect();
  }

  /** Resolves when the status and all output have come. @returns the exit code */
  async #finished(mark: string): Promise<number> {
    const [[status]] = await Promise.all([
      once(this.#child, "message") as Promise<[number]>,
      untilMarked(this.#child.stdout, () => this.#stdout.includes(mark)),
      untilMarked(this.#child.stderr, () => this.#stderr.includes(mark)),
    ]);
    return status;
  }

  /** An idle host does not keep the process of the test, and ends with it. */
  #keepProcess(keep: boolean): void {
    const { channel, stdin, stdout, stderr } = this.#child;
    for (const handle of [this.#child, channel, stdin as Socket, stdout as Socket, stderr as Socket]) {
      if (keep) handle?.ref();
      else handle?.unref();
    }
  }
}

function untilMarked(stream: NodeJS.ReadableStream | null, isMarked: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!isMarked()) return;
      stream?.off("data", check);
      resolve();
    };
    stream?.on("data", check);
  });
}

function without(mark: string, output: Buffer): string {
  return output.toString().replace(mark, "");
}

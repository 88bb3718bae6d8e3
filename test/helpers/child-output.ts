import type { ChildProcess } from "node:child_process";
import { eventually } from "./eventually.ts";

/** How a process ended: its exit code, or the signal that ended it. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * What a child process writes, and its end. A wait for output fails as soon as the process has
 * ended or could not be started, with all that it wrote.
 */
export class ChildOutput {
  stdout = "";
  stderr = "";
  /** Resolves when all output is read. Rejects when the process could not be started. */
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;
  #end: ChildEnd | Error | null = null;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = new Promise((resolve, reject) => {
      child.once("error", (error) => {
        this.#end = error;
        reject(error);
      });
      child.once("close", (code, signal) => {
        this.#end ??= { code, signal };
        resolve({ code, signal });
      });
    });
    // A test that waits for output fails there; one that does not wait at all has no use for it.
    this.ended.catch(() => undefined);
  }

  get isRunning(): boolean {
    return this.#end === null;
  }

  get all(): string {
    return `${this.stdout}${this.stderr}`;
  }

  /** Waits until `find` returns something. @throws when the process ends without it. */
  async until<T>(what: string, find: () => T, timeoutMs?: number): Promise<NonNullable<T>> {
    return eventually(
      () => `${what}, in:\n${this.all}`,
      () => {
        // Read before the output: what came between the two is not missed.
        const end = this.#end;
        const found = find();
        if (found || end === null) return found;
        const how = end instanceof Error ? end.message : `it ended with ${end.signal ?? end.code}`;
        throw new Error(`${how} before ${what}, in:\n${this.all}`);
      },
      timeoutMs,
    );
  }

  /** Sends a signal, SIGKILL by default, and waits for the end; nothing when there is no process. */
  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#end !== null) return;
    this.#child.kill(signal);
    await this.ended.catch(() => undefined);
  }
}

import { spawn } from "node:child_process";
import { join } from "node:path";

/** One processor for all load generators, so that they do not use the server's. */
export const LOAD_CPU = "1";

/** No load takes longer; without a limit a missing message would hang the benchmark. */
const LIMIT_MS = 600_000;

/** A load generator in a separate process, which prints its progress in lines. */
export interface ClientProcess {
  /**
   * Resolves with the text after the word in the first line that starts with it; rejects if the
   * process exits before.
   */
  said(word: string): Promise<string>;
  /** Calls back with the text after the word in each line that starts with it, from now on. */
  on(word: string, listener: (rest: string) => void): void;
  tell(line: string): void;
  /** Rejects if the process fails; never resolves. */
  readonly failed: Promise<never>;
  /** Closes its stdin, which makes it exit, and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts a program of this folder on the processor for load. @param plan its argument, serialized
 * as JSON.
 */
export function startClient(file: string, plan: object): ClientProcess {
  const program = join(import.meta.dirname, file);
  const args = ["-c", LOAD_CPU, process.execPath, "--import", "tsx", program, JSON.stringify(plan)];
  const child = spawn("taskset", args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  void ended.then(() => clearTimeout(limit));
  const failed = new Promise<never>((_, reject) => {
    void ended.then((code) => code === 0 || reject(new Error(`${file} ended with ${code}`)));
  });
  // A caller that waits for something else gets the failure there.
  failed.catch(() => undefined);
  const listeners: ((line: string) => void)[] = [];
  const seen: string[] = [];
  let rest = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      seen.push(line);
      for (const listener of listeners) listener(line);
    }
  });
  // The process may have exited already.
  child.stdin.on("error", () => undefined);
  const on = (word: string, listener: (rest: string) => void): void => {
    listeners.push((line) => line.startsWith(`${word} `) && listener(line.slice(word.length + 1)));
  };
  return {
    on,
    failed,
    tell: (line) => void child.stdin.write(`${line}\n`),
    said(word) {
      const already = seen.find((line) => line.startsWith(`${word} `));
      if (already !== undefined) return Promise.resolve(already.slice(word.length + 1));
      return new Promise((resolve, reject) => {
        on(word, resolve);
        void ended.then((code) => reject(new Error(`${file} ended with ${code} before it said ${word}`)));
      });
    },
    async stop() {
      child.stdin.end();
      const code = await ended;
      if (code !== 0) throw new Error(`${file} ended with ${code}`);
    },
  };
}

import { spawn } from "node:child_process";
import { join } from "node:path";

/** One processor for whatever makes load, so that it does not wander onto the server's. */
export const LOAD_CPU = "1";

/**
 * No load takes as long; a message that never comes would else be waited for until somebody looks.
 */
const LIMIT_MS = 600_000;

/** A load generator in a process of its own, which says in lines how far it is. */
export interface ClientProcess {
  /**
   * Resolves with what follows the word in the first line that begins with it; rejects when the
   * process ends before.
   */
  said(word: string): Promise<string>;
  /** Calls back with what follows the word in each line that begins with it, from now on. */
  on(word: string, listener: (rest: string) => void): void;
  tell(line: string): void;
  /** Rejects when the process fails; it never resolves. */
  readonly failed: Promise<never>;
  /** Ends its input, which tells it to go, and waits until it has. */
  stop(): Promise<void>;
}

/** Starts a program of this folder on the processor for load. @param plan its argument, as JSON. */
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
  // Whoever waits for something else hears of it there.
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
  // It may be gone already when it is told to go.
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

import { type ChildProcess, spawn } from "node:child_process";
import { ChildOutput } from "../helpers/child-output.ts";

/** A terminal of the new user. */
export class Terminal {
  readonly #child: ChildProcess;
  readonly output: ChildOutput;

  constructor({ dir, home, text }: { dir: string; home: string; text: string }) {
    const child = spawn("sh", ["-e"], {
      cwd: dir,
      env: { PATH: process.env["PATH"], HOME: home, PORT: "0", PRISM_MIN_FREE_BYTES: "0" },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    child.stdin.end(text);
    this.#child = child;
    this.output = new ChildOutput(child);
  }

  /** @returns the exit code and everything that was printed. */
  async end(): Promise<{ code: number | null; text: string }> {
    const ended = await this.output.ended;
    return { code: ended.code, text: this.output.all };
  }

  /** Closes the window: what runs in it ends. */
  async close(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null) process.kill(-this.#child.pid, "SIGKILL");
    await this.output.ended;
  }
}

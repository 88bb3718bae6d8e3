import { statSync } from "node:fs";
import type { Logger } from "../../core/log.ts";
import type { WriteRecord } from "./write-record.ts";

/** Why the database cannot be written. `gone`: its file was removed or replaced while it was open. */
export type WriteProblem = "full" | "readonly" | "failed" | "gone";

export interface WriteHealthParts {
  readonly file: string;
  readonly record: WriteRecord;
  readonly log: Logger;
  /** Commits something. @returns whether it is on disk. */
  probe(): Promise<boolean>;
}

/** While commits succeed no probe is needed; an idle server writes at most this often for those who ask. */
const TRUSTED_MS = 5000;

const MESSAGES: Readonly<Record<WriteProblem, string>> = {
  full: "the disk or the database is full: nothing can be stored",
  readonly: "the file system of the database is read-only: nothing can be stored",
  failed: "the database cannot be written: nothing can be stored",
  gone: "the database file was removed or replaced: what is stored now is lost when the server stops",
};

/**
 * Whether commits reach the disk. Real commits answer that while there are any, so that load alone never looks like a failure; on an idle
 * server a small commit does.
 */
export class WriteHealth {
  readonly #parts: WriteHealthParts;
  readonly #identity: string;
  #told: WriteProblem | null = null;

  constructor(parts: WriteHealthParts) {
    this.#parts = parts;
    this.#identity = identityOf(parts.file);
  }

  /** What is known without writing anything. A change is logged. */
  known(): WriteProblem | null {
    const problem = this.#isGone() ? "gone" : problemOf(this.#parts.record.failure);
    if (problem !== this.#told) this.#tell(problem);
    return problem;
  }

  /** Writes if the latest commits do not tell. Waits in line for the writer: the caller bounds the time. */
  async check(): Promise<WriteProblem | null> {
    const { record, probe } = this.#parts;
    if (this.known() === null && record.sinceCommitMs < TRUSTED_MS) return null;
    if (this.#isGone()) return "gone";
    const isWritten = await probe();
    return this.known() ?? (isWritten ? null : "failed");
  }

  #isGone(): boolean {
    return identityOf(this.#parts.file) !== this.#identity;
  }

  #tell(problem: WriteProblem | null): void {
    const { log } = this.#parts;
    this.#told = problem;
    if (problem === null) log.info({}, "the database can be written again");
    else log.error({ problem }, MESSAGES[problem]);
  }
}

function problemOf(failure: WriteRecord["failure"]): WriteProblem | null {
  if (failure === null) return null;
  return failure === "full" || failure === "readonly" ? failure : "failed";
}

/** Device and number of a file; asking for them opens nothing. */
function identityOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.dev}:${stat.ino}` : "none";
}

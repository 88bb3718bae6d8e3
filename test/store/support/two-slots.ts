import type { CommitOutcome, WriteSet } from "../../../src/store/commit/write-set.ts";
import { WriterPort, type WriterRequest } from "../../../src/store/commit/writers.ts";

/**
 * Either writer with two sets on their way at any time, each handed over a turn later: what a
 * thread does when the disk is slow, without a slow disk.
 */
export class TwoSlots extends WriterPort {
  onRoom: (() => void) | null = null;
  readonly #port: WriterPort;
  #inFlight = 0;

  constructor(port: WriterPort) {
    super();
    this.#port = port;
  }

  get spentMs(): number {
    return this.#port.spentMs;
  }

  hasRoom(): boolean {
    return this.#inFlight < 2;
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    this.#inFlight++;
    setImmediate(() =>
      setImmediate(() =>
        this.#port.commitSet(set, (outcome) => {
          this.#inFlight--;
          done(outcome);
        }),
      ),
    );
  }

  ask(request: WriterRequest): Promise<unknown> {
    const isCommit = request.op === "together" ? request.requests.at(-1)?.op === "commit" : request.op === "commit";
    return isCommit ? this.beforeCommit().then(() => this.#port.ask(request)) : this.#port.ask(request);
  }

  /** Called before each commit of transactions, for tests that delay it or let it fail. */
  protected async beforeCommit(): Promise<void> {}

  override close(): Promise<void> {
    return this.#port.close();
  }

  unref(): void {
    this.#port.unref();
  }
}

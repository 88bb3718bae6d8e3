import type { JobHandler } from "./job.ts";

export interface HandlerOptions {
  /**
   * The handler says itself when code begins that could end the process ({@link RunningJob.begun}); before that an attempt that is lost in a crash
   * does not count. For handlers that only write rows, or wait for something first.
   */
  readonly notesBegin?: boolean;
}

export interface RegisteredHandler extends HandlerOptions {
  readonly run: JobHandler;
}

/** What runs the jobs of each kind. */
export class JobHandlers {
  readonly #byKind = new Map<string, RegisteredHandler>();

  get(kind: string): RegisteredHandler | undefined {
    return this.#byKind.get(kind);
  }

  /** @returns a function that takes the handler away again. @throws TypeError when the kind has a handler already. */
  add(kind: string, run: JobHandler, options: HandlerOptions = {}): () => void {
    if (this.#byKind.has(kind)) throw new TypeError(`jobs of kind ${kind} have a handler already`);
    const registered = { run, ...options };
    this.#byKind.set(kind, registered);
    return () => {
      if (this.#byKind.get(kind) === registered) this.#byKind.delete(kind);
    };
  }
}

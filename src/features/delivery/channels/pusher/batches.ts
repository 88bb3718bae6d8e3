/** One event for one channel, as the REST API takes it. */
export interface PusherEvent {
  readonly channel: string;
  readonly name: string;
  /** JSON text. */
  readonly data: string;
}

/** Events of one call of `batch_events`. */
export const MAX_BATCH = 10;
/** How long the first event of a batch waits for others. */
const GATHER_MS = 5;

interface Waiting {
  readonly event: PusherEvent;
  resolve(): void;
  reject(error: unknown): void;
}

/** Gathers events that come at about the same time, so that ten of them are one request. Each add resolves or rejects with its batch. */
export class PusherBatches {
  readonly #send: (events: readonly PusherEvent[]) => Promise<void>;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #underWay = new Set<Promise<void>>();

  constructor(send: (events: readonly PusherEvent[]) => Promise<void>) {
    this.#send = send;
  }

  add(event: PusherEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject });
      if (this.#waiting.length >= MAX_BATCH) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
    });
  }

  /** Sends what waits, and resolves when all answers are there. */
  async close(): Promise<void> {
    this.#flush();
    await Promise.all(this.#underWay);
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    const sent = this.#send(batch.map(({ event }) => event)).then(
      () => {
        for (const { resolve } of batch) resolve();
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error);
      },
    );
    this.#underWay.add(sent);
    void sent.finally(() => this.#underWay.delete(sent));
  }
}

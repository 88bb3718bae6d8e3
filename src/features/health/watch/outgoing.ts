import type { Config } from "../../../config/load.ts";
import { within } from "../../../core/promises.ts";
import { type EpochMs, MINUTE_MS, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { callUrl } from "../emergency/index.ts";

export interface OutgoingWatchParts extends Uses<"clock" | "log"> {
  /** The settings in use. */
  options(): Config["watch"] & Partial<Pick<Config, "proxy">>;
  /** Stores a test event as ingest does. Resolves when it is on disk. */
  storeTestEvent(): Promise<void>;
  /** Handles what incidents have due. */
  handleIncidents(): Promise<void>;
  /** Calls `send` as a page is called. */
  throughLane(send: (signal: AbortSignal) => Promise<void>): Promise<void>;
}

/** Why `watch.url` is not called, or does not accept the call. */
export interface WatchProblem {
  readonly since: EpochMs;
  readonly text: string;
}

const CALL_LIMIT_MS = 10_000;
const LOG_EVERY_MS = 15 * MINUTE_MS;

/** The stage that the test event has not passed yet, for people. */
type Stage = "the store" | "the incidents" | "the lane of pages";

/**
 * Calls `watch.url` while a test event passes in time through what an alert passes: the store, the
 * incidents, the lane of pages. The service behind it notices when the calls stop: only a machine
 * elsewhere can. Runs only while the URL is set.
 */
export class OutgoingWatch {
  readonly #parts: OutgoingWatchParts;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #problem: WatchProblem | null = null;
  #calledAt: EpochMs | null = null;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: OutgoingWatchParts) {
    this.#parts = parts;
  }

  /** Null: the last call was accepted, or the URL is not set. */
  get problem(): WatchProblem | null {
    return this.#problem;
  }

  /** When the last call was accepted. */
  get calledAt(): EpochMs | null {
    return this.#calledAt;
  }

  get isConfigured(): boolean {
    return this.#parts.options().url !== undefined;
  }

  /** Starts or stops, as the settings say. Call it again after a reload. */
  start(): void {
    if (!this.isConfigured) this.#end();
    else if (!this.#timer) this.#wait(0);
  }

  /** Resolves when the running call is over, at most after a call's time limit. */
  async stop(): Promise<void> {
    this.#end();
    if (this.#running) await within(CALL_LIMIT_MS, this.#running);
  }

  /** Sends a test event now; otherwise a timer does. Resolves after `withinMs`, or when it is called. */
  async check(): Promise<void> {
    const { clock, options } = this.#parts;
    const { url, withinMs } = options();
    if (url === undefined) return;
    if (this.#running) return this.#failed("the test event before this one has not passed yet");
    const run = new Run(this.#parts, url, clock.elapsed() + withinMs);
    const answered = run
      .start()
      .then(
        () => this.#passed(),
        (error: unknown) => this.#failed(error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        this.#running = null;
      });
    this.#running = answered;
    await within(withinMs, Promise.race([answered, run.sending]));
    if (run.isSending || run.isOver) await answered;
    else this.#failed(`the test event did not pass ${run.stage} within ${withinMs} ms`);
  }

  #end(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#problem = null;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      // From start to start: a slow check does not delay the next one.
      this.#wait(this.#parts.options().everyMs);
      void this.check();
    }, ms).unref();
  }

  #passed(): void {
    if (this.#problem) this.#parts.log.info({}, "calls of watch.url succeed again");
    this.#problem = null;
    this.#calledAt = this.#parts.clock.now();
    this.#loggedAt = Number.NEGATIVE_INFINITY;
  }

  #failed(text: string): void {
    const { clock, log } = this.#parts;
    const since = this.#problem?.since ?? clock.now();
    this.#problem = { since, text };
    if (clock.elapsed() - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = clock.elapsed();
    log.error({ reason: text, since: toRfc3339(since) }, "calling watch.url failed");
  }
}

/** One test event on its way. */
class Run {
  readonly #parts: OutgoingWatchParts;
  readonly #url: string;
  /** On the elapsed clock. */
  readonly #until: number;
  stage: Stage = "the store";
  isSending = false;
  isOver = false;
  /** Resolves when the call begins. */
  readonly sending: Promise<void>;
  #begin: () => void = () => undefined;

  constructor(parts: OutgoingWatchParts, url: string, until: number) {
    this.#parts = parts;
    this.#url = url;
    this.#until = until;
    this.sending = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  async start(): Promise<void> {
    const { storeTestEvent, handleIncidents, throughLane } = this.#parts;
    try {
      await storeTestEvent();
      this.stage = "the incidents";
      await handleIncidents();
      this.stage = "the lane of pages";
      await throughLane(() => this.#send());
    } finally {
      this.isOver = true;
    }
  }

  async #send(): Promise<void> {
    if (this.#parts.clock.elapsed() > this.#until) throw new Error("the test event passed too late");
    this.isSending = true;
    this.#begin();
    await callUrl(this.#url, { proxy: this.#parts.options().proxy }, CALL_LIMIT_MS);
  }
}

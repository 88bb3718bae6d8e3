import type { Finding, LastResortCode } from "../../../core/finding.ts";
import { within } from "../../../core/promises.ts";
import type { Uses } from "../../../module/feature.ts";

type EmergencyWatchParts = Uses<"emergency" | "clock" | "log" | "findings">;

const LOOK_EVERY_MS = 15_000;
/** While something is found that is called for only when it lasts. */
const LOOK_AGAIN_MS = 5000;
/** A problem of the store that is shorter is over before anyone could act. */
export const STORE_AFTER_MS = 10_000;
const AFTER_MS: Partial<Record<LastResortCode, number>> = { "store-refuses-writes": STORE_AFTER_MS };
/** How long a look may take before the next one begins. */
const ANSWER_LIMIT_MS = 10_000;

/** Calls the contacts of `emergency` for what the features find. Runs only while a way is configured. */
export class EmergencyWatch {
  readonly #parts: EmergencyWatchParts;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  /** Those that are not answered yet. */
  readonly #looks = new Map<LastResortCode, Promise<void>>();
  /** On the elapsed clock: since when it has been found. */
  readonly #seenAt = new Map<LastResortCode, number>();

  constructor(parts: EmergencyWatchParts) {
    this.#parts = parts;
  }

  /** Starts or stops to look, as the settings say. Call it again after a reload. */
  start(): void {
    if (!this.#parts.emergency.isConfigured) void this.stop();
    else if (!this.#timer) this.#wait(0);
  }

  async stop(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  /** Looks now; otherwise a timer does. One look runs at a time. */
  check(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(async () => {
      await this.check();
      if (this.#timer) this.#wait(this.#isPending ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
    }, ms).unref();
  }

  get #isPending(): boolean {
    return [...this.#seenAt.keys()].some((code) => AFTER_MS[code] !== undefined);
  }

  async #look(): Promise<void> {
    const { lastResort } = this.#parts.findings;
    await Promise.all([...lastResort].map(([code, look]) => this.#lookFor(code, look)));
  }

  /** A disk that hangs must not end the looks. What takes longer goes on; meanwhile it is not begun again. */
  async #lookFor(code: LastResortCode, look: () => Finding | null | Promise<Finding | null>): Promise<void> {
    const { log } = this.#parts;
    const begin = async (): Promise<void> => {
      try {
        this.#found(code, await look());
      } catch (err) {
        log.warn({ err, reason: code }, "cannot look for a reason of emergency");
      } finally {
        this.#looks.delete(code);
      }
    };
    const running = this.#looks.get(code) ?? begin();
    if (!this.#looks.has(code)) this.#looks.set(code, running);
    await within(ANSWER_LIMIT_MS, running);
  }

  #found(code: LastResortCode, finding: Finding | null): void {
    const { emergency, clock } = this.#parts;
    if (finding === null) {
      this.#seenAt.delete(code);
      return emergency.clear(code);
    }
    const seenAt = this.#seenAt.get(code) ?? clock.elapsed();
    this.#seenAt.set(code, seenAt);
    const seenMs = clock.elapsed() - seenAt;
    if (seenMs < (AFTER_MS[code] ?? 0)) return;
    const { text, facts, since } = finding;
    emergency.raise(code, {
      text,
      since: since ?? Math.round(clock.now() - seenMs),
      ...(facts === undefined ? {} : { facts }),
    });
  }
}

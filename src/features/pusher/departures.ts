import type { Clock } from "../../core/clock.ts";
import type { PusherHappening } from "../../live/protocols/pusher/pusher-observer.ts";

/** As at Pusher: who comes back within this time was never gone. */
const GRACE_MS = 3000;
const LOOK_EVERY_MS = 250;
/** Beyond this many departures that wait they are told at once. */
const MAX_WAITING = 100_000;

const RETURN_OF = { channel_vacated: "channel_occupied", member_removed: "member_added" } as const;

/**
 * Holds `channel_vacated` and `member_removed` back for three seconds, so that a page that reloads tells webhooks nothing: a return within that time
 * cancels both.
 */
export class Departures {
  readonly #tell: (happening: PusherHappening) => void;
  /** In the order in which they are due. */
  readonly #waiting = new Map<string, { readonly happening: PusherHappening; readonly dueAt: number }>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  readonly #clock: Clock;

  /** @param tell called with those who stay away. */
  constructor(clock: Clock, tell: (happening: PusherHappening) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** @returns whether it is dealt with: a departure that waits, or the return of one. */
  take(happening: PusherHappening): boolean {
    const { name } = happening;
    if (name === "channel_occupied" || name === "member_added") return this.#waiting.delete(keyOf(name, happening));
    if (name !== "channel_vacated" && name !== "member_removed") return false;
    if (this.#isClosed || this.#waiting.size >= MAX_WAITING) return false;
    const dueAt = this.#clock.elapsed() + GRACE_MS;
    this.#waiting.set(keyOf(RETURN_OF[name], happening), { happening, dueAt });
    this.#timer ??= setTimeout(() => this.#tellDue(), LOOK_EVERY_MS);
    return true;
  }

  /** Tells all that wait, and holds nothing back any more. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    for (const { happening } of this.#waiting.values()) this.#tell(happening);
    this.#waiting.clear();
  }

  #tellDue(): void {
    const now = this.#clock.elapsed();
    for (const [key, { happening, dueAt }] of this.#waiting) {
      if (dueAt > now) break;
      this.#waiting.delete(key);
      this.#tell(happening);
    }
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#tellDue(), LOOK_EVERY_MS) : null;
  }
}

function keyOf(returns: string, happening: PusherHappening): string {
  const member = "user_id" in happening ? JSON.stringify(happening.user_id) : "";
  return `${returns} ${happening.channel} ${member}`;
}

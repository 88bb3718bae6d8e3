import type { Database as Sqlite } from "better-sqlite3";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { putSetting } from "../../../store/setting-rows.ts";

const TRUSTED_SETTING = "clock.trustedAt";
const DOUBTED_SETTING = "clock.doubtedAt";
/** A clock further ahead of the last trusted time may be wrong. */
const MAX_GAP_MS = 7 * DAY_MS;
/** How long the clock must run on to be trusted again: time for NTP or an operator to act. */
const DOUBT_MS = DAY_MS;

/** `trustedAt`: the last trusted time of the clock. `doubtedAt`: the first doubtful one. */
export interface ClockFacts {
  readonly trustedAt: EpochMs | null;
  readonly doubtedAt: EpochMs | null;
}

/** Judges a clock that shows `now`; it is trusted if `doubtedAt` is null. */
export function judgeClock({ trustedAt, doubtedAt }: ClockFacts, now: EpochMs): ClockFacts {
  if (trustedAt === null || now <= trustedAt + MAX_GAP_MS) return { trustedAt: now, doubtedAt: null };
  const ranMs = doubtedAt === null ? 0 : now - doubtedAt;
  // Another jump restarts the day of doubt.
  if (doubtedAt === null || ranMs < 0 || ranMs > DOUBT_MS + MAX_GAP_MS) return { trustedAt, doubtedAt: now };
  return ranMs < DOUBT_MS ? { trustedAt, doubtedAt } : { trustedAt: now, doubtedAt: null };
}

/** A warning for an operator; null while the clock is trusted. */
export function clockWarning({ trustedAt, doubtedAt }: ClockFacts): string | null {
  if (doubtedAt === null || trustedAt === null) return null;
  const days = Math.floor((doubtedAt - trustedAt) / DAY_MS);
  const jump = `the clock jumped ${days} days ahead of the last known time (${toRfc3339(trustedAt)})`;
  const until = toRfc3339(doubtedAt + DOUBT_MS);
  return `${jump}: retention removes nothing until ${until}; set the clock, or retention.trustClock if it is right`;
}

export interface ClockTrustParts extends Uses<"db" | "reader" | "clock" | "log"> {
  /** The operator confirms the clock. */
  isTrusted(): boolean;
}

/** Protects rows from retention by a wrong clock. Create it before the first row is written. */
export class ClockTrust {
  readonly #parts: ClockTrustParts;
  #facts: ClockFacts;
  #storing: Promise<unknown> = Promise.resolve();

  constructor(parts: ClockTrustParts) {
    this.#parts = parts;
    const stored = storedClockFacts(parts.reader);
    this.#facts = judgeClock(stored, parts.clock.now());
    // Rows of this run would look like evidence to the next one.
    if (this.#facts.doubtedAt !== stored.doubtedAt) this.#storing = this.#store().catch(() => undefined);
  }

  get warning(): string | null {
    return this.#parts.isTrusted() ? null : clockWarning(this.#facts);
  }

  /** @returns whether expired rows may be removed now. */
  async check(): Promise<boolean> {
    await this.#storing;
    const now = this.#parts.clock.now();
    this.#facts = this.#parts.isTrusted() ? { trustedAt: now, doubtedAt: null } : judgeClock(this.#facts, now);
    await this.#store();
    if (this.warning !== null) this.#parts.log.warn({}, this.warning);
    return this.warning === null;
  }

  async #store(): Promise<void> {
    const { db, clock } = this.#parts;
    const updatedAt = clock.now();
    await db.write(async (trx) => {
      for (const [key, value] of [
        [TRUSTED_SETTING, this.#facts.trustedAt],
        [DOUBTED_SETTING, this.#facts.doubtedAt ?? 0],
      ] as const)
        await putSetting(trx, key, value ?? 0, updatedAt);
    });
  }
}

/** As the last server left them; without one, the newest rows give the last known time. */
export function storedClockFacts(reader: Sqlite): ClockFacts {
  const setting = reader.prepare<[string], number>("select value from settings where key = ?").pluck();
  const newest = [
    "select receivedAt from events where seq = (select max(seq) from events)",
    "select timestamp from audit_log where seq = (select max(seq) from audit_log)",
  ].map((sql) => reader.prepare<[], number>(sql).pluck().get() ?? 0);
  return {
    trustedAt: setting.get(TRUSTED_SETTING) || Math.max(...newest) || null,
    doubtedAt: setting.get(DOUBTED_SETTING) || null,
  };
}

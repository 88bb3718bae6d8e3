import type { Database as Sqlite } from "better-sqlite3";
import type { DateTime } from "luxon";
import { PrismError } from "../../../core/errors.ts";
import type { Clock, EpochMs } from "../../../core/time/clock.ts";
import { epochOf, isTimezone, type Moment } from "../../../core/time/clock.ts";

export interface TimeParts {
  /** null: users are unknown here. */
  readonly reader: Sqlite | null;
  readonly clock: Clock;
  /** The server's time zone. */
  readonly timezone: string;
}

let luxon: Pick<typeof import("luxon"), "DateTime"> | null = null;

/** Reads Luxon. Modules call {@link Times} synchronously, so it is read before they register. */
export async function loadTimes(): Promise<void> {
  luxon ??= await import("luxon");
}

/** The current time and its conversion to users' time zones, with Luxon and the injected clock. */
export class Times {
  /** The default time zone. */
  readonly timezone: string;
  readonly #clock: Clock;
  readonly #timezoneOf;

  constructor({ reader, clock, timezone }: TimeParts) {
    this.timezone = timezone;
    this.#clock = clock;
    this.#timezoneOf = reader
      ?.prepare<[string], string>("select timezone from users where id = ? and deletedAt is null")
      .pluck();
  }

  /** @throws INVALID_TIMEZONE */
  now(zone: string = this.timezone): DateTime {
    return this.#inZone(this.#clock.now(), zone);
  }

  /**
   * Converts a moment to a zone. A moment is an instant, so the result is unambiguous even when
   * clocks change: a local time in a gap, given with the offset before it, moves forward by the
   * gap; for a repeated local time the offset decides. @throws VALIDATION_FAILED, INVALID_TIMEZONE
   */
  convert(at: Moment, zone: string): DateTime {
    return this.#inZone(epochOf(at), zone);
  }

  /** A moment in a user's time zone. @throws VALIDATION_FAILED, USER_NOT_FOUND */
  async forUser(at: Moment, userId: string): Promise<DateTime> {
    const zone = this.#timezoneOf?.get(userId);
    if (zone === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
    return this.convert(at, zone);
  }

  /** Whether the text is an IANA time zone. */
  isValidZone(zone: string): boolean {
    return isTimezone(zone);
  }

  #inZone(epochMs: EpochMs, zone: string): DateTime {
    if (zone !== this.timezone && !isTimezone(zone))
      throw new PrismError("INVALID_TIMEZONE", "The time zone is not one of the IANA database, such as Europe/Berlin");
    if (!luxon) throw new TypeError("loadTimes() comes before the first conversion");
    return luxon.DateTime.fromMillis(epochMs, { zone });
  }
}

import type { Database as Sqlite } from "better-sqlite3";
import { DateTime } from "luxon";
import type { Clock, EpochMs } from "../../core/clock.ts";
import { epochOf, isTimezone, type Moment } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";

export interface TimeParts {
  /** null: nothing is known of users here. */
  readonly reader: Sqlite | null;
  readonly clock: Clock;
  /** The zone of the server's own times. */
  readonly timezone: string;
}

/**
 * What time it is, and what that is on people's clocks: Luxon with the program's clock and the
 * users' zones.
 */
export class TimeService {
  /** The zone that is meant where none is named. */
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
   * A moment in a zone. It is an instant, so there is exactly one answer, also on the days on which
   * clocks are set: a local time that a gap skips comes out moved forward by the gap when it is
   * given with the offset from before; of a local time that comes twice the offset says which one
   * it is. @throws VALIDATION_FAILED, INVALID_TIMEZONE
   */
  convert(at: Moment, zone: string): DateTime {
    return this.#inZone(epochOf(at), zone);
  }

  /** A moment on a user's clock. @throws VALIDATION_FAILED, USER_NOT_FOUND */
  async forUser(at: Moment, userId: string): Promise<DateTime> {
    const zone = this.#timezoneOf?.get(userId);
    if (zone === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
    return this.convert(at, zone);
  }

  /** Whether a text names a zone of the IANA database. */
  isValidZone(zone: string): boolean {
    return isTimezone(zone);
  }

  #inZone(epochMs: EpochMs, zone: string): DateTime {
    if (zone !== this.timezone && !isTimezone(zone))
      throw new PrismError("INVALID_TIMEZONE", "The time zone is not one of the IANA database, such as Europe/Berlin");
    return DateTime.fromMillis(epochMs, { zone });
  }
}

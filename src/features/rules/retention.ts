import { DAY_MS } from "../../core/time/clock.ts";
import { daysBefore, sweepRows } from "../../store/retention.ts";

/** The longest window of a rule, plus an hour for a clock that was set back. */
const WINDOW_MS = DAY_MS + 3_600_000;

const windows = sweepRows("suppression_windows", (db, now) =>
  db
    .selectFrom("suppression_windows")
    .select(["ruleId", "key", "bucketStart"])
    .where("bucketStart", "<=", now - WINDOW_MS),
);

const ABSENCE_DAYS = 30;

/** Keys that stayed away. */
const absences = sweepRows("rule_absences", (db, now) =>
  db
    .selectFrom("rule_absences")
    .select(["ruleId", "projectId", "key"])
    .where("firedAt", "<=", daysBefore(now, ABSENCE_DAYS)),
);

/** Removes old counts of keys, and absences that lasted too long. */
export const SUPPRESSION_SWEEPS = [windows, absences];

import type { Repetition, StoredAlert } from "./alert-book.ts";
import type { CheckedInput } from "./normalise.ts";
import { isSameSender } from "./senders.ts";

/** The state of a live alert when an input for it arrives. */
export type Known = Readonly<
  Pick<StoredAlert, "state" | "labelSet" | "severity" | "startsAt" | "endsAt" | "isTimeoutEnd" | "lastAt" | "sender">
>;

/**
 * - `open`, `hold`: a new alert fires, or stays pending first.
 * - `repeat`: a live alert is reported again; with the same labels and severity nothing is stored now. So is each
 *   input without the right to end it for an alert of another sender: other labels would be an end.
 * - `change`: it is reported with other labels or another severity.
 * - `resolve`, `drop`: a firing alert is over; a pending one has never fired.
 * - `ignore`: what is over was not known, or has been reported again since.
 */
export type AlertVerdict = "open" | "hold" | "repeat" | "change" | "resolve" | "drop" | "ignore";

export function verdictOn(known: Known | null, input: CheckedInput): AlertVerdict {
  if (known === null) {
    if (input.resolves) return "ignore";
    return input.holdMs > 0 ? "hold" : "open";
  }
  if (input.resolves && input.reportedAt !== null && input.reportedAt < known.lastAt) return "ignore";
  if (input.resolves) return known.state === "firing" ? "resolve" : "drop";
  return isForeign(known, input) || isSameAlert(known, input) ? "repeat" : "change";
}

/** The alert is another sender's, and the input may not end it: it only makes the alert last longer. */
export function isForeign({ sender }: Pick<Known, "sender">, input: CheckedInput): boolean {
  return !input.mayEnd && !isSameSender(sender, input.sender);
}

function isSameAlert({ labelSet, severity }: Known, input: CheckedInput): boolean {
  if (severity !== input.severity || labelSet.length !== input.labelSet.length) return false;
  return labelSet.every((text, i) => text === input.labelSet[i]);
}

/**
 * The times of an alert after an input, by Alertmanager's rule: when the spans of both overlap, the
 * earliest start is kept, and a later end that its sender stated beats an earlier one. Otherwise
 * the input replaces both. A foreign one only makes the alert last longer, until its sender reports it again.
 */
export function timesAfter(
  known: Known,
  input: CheckedInput,
): Pick<Repetition, "startsAt" | "endsAt" | "isTimeoutEnd"> {
  const { startsAt, endsAt, isTimeoutEnd } = input;
  const knownEnd = known.endsAt ?? Number.POSITIVE_INFINITY;
  const end = endsAt ?? Number.POSITIVE_INFINITY;
  if (isForeign(known, input)) {
    // Its sender's next report sets the end again, as after a time-out.
    if (end > knownEnd) return { startsAt: known.startsAt, endsAt, isTimeoutEnd: true };
    const { endsAt: kept, isTimeoutEnd: wasTimeout } = known;
    return { startsAt: known.startsAt, endsAt: kept, isTimeoutEnd: wasTimeout };
  }
  const overlaps = (end > known.startsAt && end < knownEnd) || (startsAt > known.startsAt && startsAt < knownEnd);
  if (!overlaps) return { startsAt, endsAt, isTimeoutEnd };
  const keepsEnd = !input.resolves && knownEnd > end && !known.isTimeoutEnd;
  return { startsAt: Math.min(known.startsAt, startsAt), endsAt: keepsEnd ? known.endsAt : endsAt, isTimeoutEnd };
}

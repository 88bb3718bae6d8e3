import * as v from "valibot";
import { DAY_MS } from "../../../core/time/clock.ts";
import { doc, integer, jsonObject, named, object, text } from "../../../http/api/shapes.ts";

const KEY_LENGTH = 256;
/** Alertmanager and Prometheus show labels in one line. */
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,99}$/;
const MAX_LABELS = 32;
const MAX_VALUE = 1024;

/** Templates by name. */
function templates(what: string) {
  return v.pipe(
    jsonObject(32_768),
    v.check((value) => Object.keys(value).length <= MAX_LABELS, `must be at most ${MAX_LABELS} ${what}`),
    v.check(
      (value) => Object.keys(value).every((name) => LABEL_NAME.test(name)),
      "names are letters, digits and _, and start with a letter or _",
    ),
    v.check(
      (value) => Object.values(value).every((each) => typeof each === "string" && each.length <= MAX_VALUE),
      `values are templates of at most ${MAX_VALUE} characters`,
    ),
  );
}

export const Threshold = named(
  "Threshold",
  "Number of matches within a window that a rule waits for",
  object({
    count: doc(integer(2, 1000), "Matches within the window; the last of them passes, and counting starts again"),
    windowMs: doc(integer(1000, DAY_MS), "Length of the window, by receipt of the events"),
    key: v.optional(doc(text(KEY_LENGTH, 1), "Template; each value is counted on its own")),
  }),
);

export const Absence = named(
  "Absence",
  "Reverses a rule: it passes when there was no match for a time",
  object({
    forMs: doc(integer(1000, 30 * DAY_MS), "Time without a match"),
    key: v.optional(doc(text(KEY_LENGTH, 1), "Template; each value that was seen is awaited on its own")),
  }),
);

export const RuleAlert = named(
  "RuleAlert",
  "The alert that a rule opens and resolves",
  object({
    key: v.optional(doc(text(KEY_LENGTH, 1), "Template; each value is an alert of its own. Default: one alert")),
    labels: v.optional(doc(templates("labels"), "Templates of labels; `alertname` is the rule's name by default")),
    annotations: v.optional(
      doc(
        templates("annotations"),
        "Templates; `summary` and `description` are the rule's title and message by default",
      ),
    ),
    severity: v.optional(doc(text(100, 1), "Template, such as `critical`; also the label `severity`")),
    resolve: v.optional(
      doc(text(4096, 1), "Condition; an event with the same key for which it is true resolves the alert"),
    ),
    resolveAfterMs: v.optional(
      doc(integer(1000, 30 * DAY_MS), "The alert is resolved after this time without a match"),
    ),
    forMs: v.optional(doc(integer(1000, 7 * DAY_MS), "The alert is pending for this time before it fires")),
  }),
);

export type ThresholdSetting = v.InferOutput<typeof Threshold>;
export type AbsenceSetting = v.InferOutput<typeof Absence>;
export type AlertSetting = v.InferOutput<typeof RuleAlert>;

import * as v from "valibot";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import {
  type AnswerOf,
  type Codec,
  column,
  computed,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, jsonObject, named, selfChanging, text } from "../../../http/api/shapes.ts";
import { MATCH_OPERATORS } from "../model/utf8-matchers.ts";
import { NO_END } from "./spans.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    silences: SilenceRow;
  }
}

export const STATES = ["pending", "active", "expired"] as const;
export const KINDS = ["silence", "maintenance"] as const;
/** Values of the member `kind`. */
export const KIND = "`maintenance`: a planned window; the default with `recurrence`";

/** A condition on one label, in answers. */
export const MatcherObject = named(
  "Matcher",
  "A condition on one label; an absent label counts as empty",
  v.object({
    name: doc(v.string(), "Name of the label"),
    operator: doc(v.picklist(MATCH_OPERATORS), "`=`, `!=`, or `=~`, `!~` with a regular expression (RE2) of the value"),
    value: v.string(),
  }),
);
export const SpanView = v.object({ startsAt: v.string(), endsAt: v.string() });
const Recurrence = v.object({
  cron: v.string(),
  durationMs: v.optional(v.number()),
  until: v.optional(v.string()),
  timezone: v.string(),
});

const annotations = v.pipe(
  jsonObject(16_384),
  v.check((value) => Object.values(value).every((each) => typeof each === "string"), "must have texts as values"),
  v.transform((value) => value as Readonly<Record<string, string>>),
);
const end: Codec<EpochMs, EpochMs, string | null> = {
  column: v.number(),
  encode: (at) => at,
  decode: (at) => (at === NO_END ? null : toRfc3339(at)),
};

/** A silence or a maintenance window. */
export const Silence = resource("Silence", "A silence or maintenance window", "silences", () => ({
  id: stored(v.string()),
  projectId: stored(v.string()),
  kind: given(v.picklist(KINDS, `must be one of ${KINDS.join(", ")}`), KIND).or("silence"),
  state: computed(
    selfChanging(
      doc(v.picklist(STATES), "Computed from the times; a recurring silence is pending between its windows"),
    ),
  ),
  matchers: column(v.string()).shownAs(v.array(MatcherObject)),
  text: computed(selfChanging(doc(v.string(), 'The matchers as a text, such as `{team="db"}`'))),
  startsAt: stored(v.string(), time),
  endsAt: stored(doc(v.nullable(v.string()), "Null: the windows have no end"), end),
  recurrence: stored(v.nullable(Recurrence), orNull(json())).or(null),
  window: computed(
    selfChanging(doc(v.nullable(SpanView), "The current span, otherwise the next one; null if it is expired")),
  ),
  comment: given(text(4000), "Reason, for other people"),
  annotations: given(annotations, "Names and texts of your own", json())
    .or("{}")
    .shown(v.record(v.string(), v.string())),
  createdBy: stored(doc(v.string(), "Id of the user or key, or the name that a client of Alertmanager's API sent")),
  hits: stored(selfChanging(doc(v.number(), "Number of alerts that it has silenced"))).or(0),
  lastHitAt: stored(selfChanging(v.nullable(v.string())), orNull(time)).or(null),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  /** Starts, ends and expiry warnings up to this instant are reported as events. */
  reportedUntil: column(v.number()),
}));
export type SilenceRow = RowOf<typeof Silence>;
export type SilenceView = AnswerOf<typeof Silence>;

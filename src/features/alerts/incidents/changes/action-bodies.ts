import * as v from "valibot";
import { DAY_MS } from "../../../../core/time/clock.ts";
import { doc, example, instant, integer, named, object, text, uuid } from "../../../../http/api/shapes.ts";

export const MAX_SNOOZE_MS = 365 * DAY_MS;
const MAX_BULK = 100;

const note = v.optional(doc(text(1000, 1), "Added to the timeline"));
export const ActBody = example(object({ note }), {});
export const SnoozeBody = example(
  v.pipe(
    object({
      until: v.optional(doc(instant, "End of the snooze")),
      durationMs: v.optional(doc(integer(60_000, MAX_SNOOZE_MS), "Length of the snooze; this or `until`")),
      note,
    }),
    v.check(
      ({ until, durationMs }) => (until === undefined) !== (durationMs === undefined),
      "give until or durationMs",
    ),
  ),
  { durationMs: 3_600_000 },
);
export const NoteBody = example(object({ text: doc(text(4000, 1), "Text of the note") }), {
  text: "The database was restarted",
});
export const BulkBody = example(
  object({ ids: doc(v.pipe(v.array(uuid), v.minLength(1), v.maxLength(MAX_BULK)), "Ids of incidents"), note }),
  { ids: ["0198c0de-0000-7000-8000-000000000000"] },
);
export const BulkView = named(
  "IncidentResults",
  "What became of each incident",
  v.object({
    data: v.array(
      v.object({
        id: v.string(),
        state: doc(v.nullable(v.string()), "Its state afterwards; null if it was not changed"),
        error: v.nullable(v.object({ code: v.string(), message: v.string() })),
      }),
    ),
  }),
);

import * as v from "valibot";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { doc } from "../../../http/api/shapes.ts";
import type { ReadDb } from "../../../store/database.ts";
import { timesOf } from "../silences/live-silence.ts";
import { spansFrom } from "../silences/spans.ts";

/* The silences that kept an incident quiet, with their times. */

const SHOWN_SILENCES = 20;
const SHOWN_SPANS = 50;

export const SilenceOfIncident = v.object({
  id: v.string(),
  spans: doc(
    v.array(v.object({ startsAt: v.string(), endsAt: v.string() })),
    "The times of the incident in which it was active, and until when it is now",
  ),
});
type SilenceOfIncident = v.InferOutput<typeof SilenceOfIncident>;

/** @param ids of silences @param until the end of the incident, or now */
export async function silencesOf(
  db: ReadDb,
  ids: ReadonlySet<string>,
  { from, until }: { readonly from: EpochMs; readonly until: EpochMs },
): Promise<SilenceOfIncident[]> {
  if (ids.size === 0) return [];
  const rows = await db
    .selectFrom("silences")
    .selectAll()
    .where("id", "in", [...ids].slice(-SHOWN_SILENCES))
    .orderBy("id")
    .execute();
  return rows.map((row) => {
    const spans: SilenceOfIncident["spans"] = [];
    for (const { startsAt, endsAt } of spansFrom(timesOf(row), from)) {
      if (startsAt > until || spans.length === SHOWN_SPANS) break;
      spans.push({ startsAt: toRfc3339(startsAt), endsAt: toRfc3339(endsAt) });
    }
    return { id: row.id, spans };
  });
}

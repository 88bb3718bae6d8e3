import type { EpochMs } from "../../../core/time/clock.ts";
import type { ConfigKind } from "../../../module/config-kind.ts";
import { runtimeKind } from "../../../module/runtime-kind.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { matcherText } from "../model/matchers.ts";
import { matchersOf, timesOf } from "./live-silence.ts";
import { silences } from "./manage.ts";
import { readMatchers, type SilencesContext } from "./requests.ts";
import { type CreateSilence, type GivenMatcher, silenceEntries } from "./schema.ts";
import type { SilenceRow } from "./silence.ts";
import { NO_END, spanAt } from "./spans.ts";

type SilenceSpec = Omit<CreateSilence, "projectId" | "matchers"> & { readonly matchers: GivenMatcher[] };

/** Silences and maintenance windows in configuration files. They are made once. */
export function silencesKind(context: SilencesContext): ConfigKind {
  return runtimeKind<SilenceSpec>({
    ...{ kind: "silences", noun: "silence", key: "comment" },
    rights: { read: "events:read", write: "silences:write" },
    entries: silenceEntries,
    // A comment may be empty.
    nameOf: ({ name, comment }) => (typeof name === "string" && name) || String(comment ?? "") || "silence",
    async list(db: ReadDb | Trx, projectId) {
      const now = context.clock.now();
      const lasting = db
        .selectFrom("silences")
        .selectAll()
        .where("projectId", "=", projectId)
        .where("endsAt", ">", now);
      return (await lasting.orderBy("id").execute()).flatMap((row) => entriesOf(row, now));
    },
    end: (_db, { startsAt, endsAt, durationMs }) =>
      endsAt ?? (startsAt === undefined || durationMs === undefined ? null : startsAt + durationMs),
    check: ({ matchers }) => readMatchers(matchers),
    make: (trx, caller, projectId, { name: _, ...input }: SilenceSpec & { readonly name?: string }) =>
      silences.insert(context, trx, caller, { ...input, projectId }),
  });
}

/** A recurring silence, and the window that it has now: its next one starts after it is made. */
function entriesOf(row: SilenceRow, now: EpochMs) {
  const times = timesOf(row);
  const span = spanAt(times, now);
  const { kind, comment } = row;
  const annotations = JSON.parse(row.annotations) as Readonly<Record<string, string>>;
  const about = {
    ...{ matchers: matchersOf(row).map(matcherText), comment },
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  const kindFor = (isRecurring: boolean) => (kind === (isRecurring ? "maintenance" : "silence") ? {} : { kind });
  const { recurrence, startsAt, endsAt } = times;
  if (recurrence === null) return [{ id: row.id, spec: { ...about, startsAt, endsAt, ...kindFor(false) } }];
  const isNow = span !== null && span.startsAt <= now;
  const windows = { startsAt, ...(endsAt !== NO_END && { endsAt }), recurrence };
  return [
    ...(isNow ? [{ id: `${row.id} now`, spec: { ...about, ...span, ...kindFor(false) } }] : []),
    ...(span === null ? [] : [{ id: row.id, spec: { ...about, ...windows, ...kindFor(true) } }]),
  ];
}

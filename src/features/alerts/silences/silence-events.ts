import { countText } from "../../../core/clean-text.ts";
import { type EpochMs, toRfc3339 } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { Trx } from "../../../store/database.ts";
import type { UserDirectory } from "../../access/index.ts";
import { appendOwnEvents, type OwnEventDraft } from "../../events/index.ts";
import type { Notifier } from "../../notifications/index.ts";
import { textOf } from "./live-silence.ts";
import type { SilenceRow } from "./silence.ts";
import type { Border } from "./spans.ts";

export interface SilenceEventParts {
  readonly notify: Pick<Notifier, "send">;
  readonly directory: Pick<UserDirectory, "find">;
}

/** A border of a silence that is reported. */
export interface Reported {
  readonly row: SilenceRow;
  readonly border: Border;
}

/** Stores an event for each border, and notifies creators of silences that expire soon. */
export async function reportBorders(
  parts: SilenceEventParts,
  trx: Trx,
  reported: readonly Reported[],
  now: EpochMs,
): Promise<void> {
  await appendOwnEvents(trx, reported.map(eventOf), { source: "prism:alerts", now });
  // A silence that ended during a down time is reported by its events only.
  for (const { row, border } of reported)
    if (border.kind === "expiring" && border.span.endsAt > now) await notifyCreator(parts, trx, row, border);
}

function eventOf({ row, border: { kind, span } }: Reported): OwnEventDraft {
  const { id, projectId, comment, createdBy, hits, recurrence } = row;
  return {
    projectId,
    type: `silence.${kind}`,
    level: "info",
    payload: {
      silenceId: id,
      kind: row.kind,
      matchers: textOf(row),
      comment,
      createdBy,
      isRecurring: recurrence !== null,
      startsAt: toRfc3339(span.startsAt),
      endsAt: toRfc3339(span.endsAt),
      hits,
    },
  };
}

/** Other creators are names that a client of Alertmanager's API sent. */
async function notifyCreator(
  { notify, directory }: SilenceEventParts,
  trx: Trx,
  row: SilenceRow,
  { at, span }: Border,
): Promise<void> {
  const { id, projectId, createdBy, comment, hits } = row;
  if (!isUuid(createdBy) || directory.find(createdBy) === undefined) return;
  const hours = Math.round((span.endsAt - at) / 3_600_000);
  const input = {
    recipients: [createdBy],
    projectId,
    title: `Silence ends in ${countText(hours, "hour")}: ${comment || textOf(row)}`.slice(0, 255),
    message: `${textOf(row)} ends at ${toRfc3339(span.endsAt)}. It has silenced ${countText(hits, "alert")}.`.slice(
      0,
      4000,
    ),
    data: { silenceId: id, endsAt: toRfc3339(span.endsAt) },
  };
  await notify.send(input, { trx }).catch((error: unknown) => {
    // The creator is no longer a member of the project.
    if (!(error instanceof PrismError && error.code === "RECIPIENT_NOT_FOUND")) throw error;
  });
}

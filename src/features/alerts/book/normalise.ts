import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { missingPermission } from "../../../http/server/access.ts";
import {
  checkLabels,
  fingerprintOf,
  type LabelRecord,
  type Labels,
  labelValue,
  sortedLabels,
} from "../model/labels.ts";
import type { AlertInput, AlertView } from "../types.ts";

const MAX_LABELS = 100;
/** Characters of all names and values. */
const MAX_LABEL_TEXT = 16_384;
const MAX_ANNOTATION_TEXT = 65_536;
const MAX_KEY = 1024;
const MAX_URL = 8192;

type Taken = "projectId" | "source" | "sourceId" | "sender" | "key" | "labelSet" | "fingerprint" | "severity";

/** An {@link AlertInput} that was checked, with its defaults. */
export interface CheckedInput extends Pick<AlertView, Taken | "startsAt" | "endsAt"> {
  /** JSON text; null: those of the alert are kept. */
  readonly annotations: string | null;
  /** undefined: that of the alert is kept. */
  readonly generatorUrl: string | null | undefined;
  readonly isTimeoutEnd: boolean;
  readonly holdMs: number;
  /** It resolves the alert; otherwise the alert fires. */
  readonly resolves: boolean;
  readonly isAtOnce: boolean;
  readonly mayEnd: boolean;
  /** When its sender reported it, if that was before now. */
  readonly reportedAt: EpochMs | null;
}

/**
 * @param wall now by the wall clock, as the sender's times are. @param takenAt when a node took it without a leader
 * @throws VALIDATION_FAILED, UNAUTHORIZED_ROLE
 */
export function checkInput(input: AlertInput, wall: EpochMs, takenAt?: EpochMs): CheckedInput {
  const { endsAt = null, isTimeoutEnd = false, holdMs = 0, resolvesAtOnce = false, mayEnd = true } = input;
  const startsAt = input.startsAt ?? wall;
  const resolves = endsAt !== null && endsAt <= wall;
  if (resolves && !mayEnd) throw missingPermission("incidents:act", "only with it users end alerts");
  checkLabels(input.labels);
  const labelSet = sortedLabels(input.labels);
  if (labelSet.length === 0 && !resolves) throw invalid("at least one label pair required");
  if (input.startsAt !== undefined && endsAt !== null && endsAt < input.startsAt)
    throw invalid("start time must be before end time");
  checkSizes(input, labelSet);
  const fingerprint = fingerprintOf(labelSet);
  return {
    projectId: input.projectId,
    source: input.source,
    sourceId: input.sourceId,
    sender: input.sender ?? null,
    key: input.key ?? `fp:${fingerprint}`,
    labelSet,
    fingerprint,
    annotations: input.annotations === undefined ? null : JSON.stringify(input.annotations),
    generatorUrl: input.generatorUrl,
    severity: input.severity || labelValue(labelSet, "severity") || null,
    startsAt,
    endsAt,
    isTimeoutEnd,
    holdMs: Math.max(0, holdMs),
    resolves,
    isAtOnce: resolvesAtOnce,
    mayEnd,
    // A heartbeat reports a change once: its state decides, not the order.
    reportedAt: takenAt !== undefined && takenAt < wall && (input.sender ?? null) !== null ? takenAt : null,
  };
}

/** {@link checkInput}. @returns why the input is refused */
export function attemptCheck(input: AlertInput, wall: EpochMs, takenAt?: EpochMs): CheckedInput | PrismError {
  try {
    return checkInput(input, wall, takenAt);
  } catch (error) {
    if (error instanceof PrismError) return error;
    throw error;
  }
}

function checkSizes(input: AlertInput, labelSet: Labels): void {
  if (labelSet.length > 2 * MAX_LABELS) throw invalid(`an alert has at most ${MAX_LABELS} labels`);
  if (sizeOf(labelSet) > MAX_LABEL_TEXT) throw invalid(`labels have at most ${MAX_LABEL_TEXT} characters in all`);
  if ((input.key?.length ?? 0) > MAX_KEY) throw invalid(`the key of an alert has at most ${MAX_KEY} characters`);
  if ((input.generatorUrl?.length ?? 0) > MAX_URL) throw invalid(`a URL has at most ${MAX_URL} characters`);
  if (recordSizeOf(input.annotations ?? {}) > MAX_ANNOTATION_TEXT)
    throw invalid(`annotations have at most ${MAX_ANNOTATION_TEXT} characters in all`);
}

function recordSizeOf(record: LabelRecord): number {
  let size = 0;
  for (const name of Object.keys(record)) size += name.length + (record[name]?.length ?? 0);
  return size;
}

function sizeOf(texts: readonly string[]): number {
  let size = 0;
  for (const text of texts) size += text.length;
  return size;
}

function invalid(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", message);
}

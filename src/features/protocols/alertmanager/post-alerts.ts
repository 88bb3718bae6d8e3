import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Reply } from "../../../http/api/route.ts";
import { parseJson } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type AlertInput, checkLabels, type LabelRecord, parseAlertTime, type reporterOf } from "../../alerts/index.ts";
import { unprocessable, unreadable } from "./replies.ts";

/** `resolve_timeout` of Alertmanager: an alert without an end is over after this time. */
export const RESOLVE_TIMEOUT_MS = 300_000;

/** Alerts of one request. Prometheus sends at most 256. */
const MAX_ALERTS = 20_000;
/** As of every alert; checked before the labels are sorted. */
const MAX_LABELS = 100;

/** An alert as posted: its shape is checked, its content is not. */
export interface AlertmanagerAlert {
  readonly labels: LabelRecord;
  readonly annotations: LabelRecord;
  readonly generatorUrl: string | null;
  /** Null: absent. */
  readonly startsAt: EpochMs | null;
  readonly endsAt: EpochMs | null;
}

/** Limit of all alerts of a request. */
const MAX_MEMBERS = 100_000;

/** Reads the body of `POST /api/v2/alerts`. */
export function readPostedAlerts(
  body: Buffer,
  exchange?: Exchange,
): { readonly alerts: readonly AlertmanagerAlert[] } | { readonly refusal: Reply<unknown> } {
  if (body.length === 0) return { refusal: unprocessable("required", "alerts in body is required") };
  try {
    const value = parseJson(body, { maxMembers: MAX_MEMBERS, exchange });
    if (value === null) return { alerts: [] };
    if (!Array.isArray(value)) throw new Misshapen("it is not an array of alerts");
    if (value.length > MAX_ALERTS) throw new Misshapen(`it has more than ${MAX_ALERTS} alerts`);
    return { alerts: value.map(readAlert) };
  } catch (error) {
    if (error instanceof Missing) return { refusal: unprocessable(error.kind, error.message) };
    if (error instanceof Misshapen || error instanceof PrismError)
      return { refusal: unreadable("alerts", error.message) };
    throw error;
  }
}

/** A member of another type than in Alertmanager's schema. */
class Misshapen extends Error {
  override readonly name = "Misshapen";
}

/** A member that the schema requires, or with a value that it does not allow. */
class Missing extends Error {
  override readonly name = "Missing";
  readonly kind: "required" | "type";

  constructor(kind: "required" | "type", message: string) {
    super(message);
    this.kind = kind;
  }
}

function readAlert(value: unknown, at: number): AlertmanagerAlert {
  if (value === null) throw new Missing("required", `${at}.labels in body is required`);
  if (typeof value !== "object" || Array.isArray(value)) throw new Misshapen(`${at} is not an object`);
  const alert = value as Readonly<Record<string, unknown>>;
  const read = {
    annotations: textsOf(alert["annotations"], `${at}.annotations`) ?? {},
    startsAt: timeOf(alert["startsAt"], `${at}.startsAt`),
    endsAt: timeOf(alert["endsAt"], `${at}.endsAt`),
    generatorUrl: textOf(alert["generatorURL"], `${at}.generatorURL`),
    labels: textsOf(alert["labels"], `${at}.labels`),
  };
  if (read.labels === null) throw new Missing("required", `${at}.labels in body is required`);
  const { generatorUrl } = read;
  if (generatorUrl && !isUri(generatorUrl))
    throw new Missing("type", `${at}.generatorURL in body must be of type uri: ${JSON.stringify(generatorUrl)}`);
  return { ...read, labels: read.labels };
}

function textOf(value: unknown, path: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "string") throw new Misshapen(`${path} is not a string`);
  return value;
}

function textsOf(value: unknown, path: string): LabelRecord | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object" || Array.isArray(value)) throw new Misshapen(`${path} is not an object of strings`);
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== "string") throw new Misshapen(`${path}.${name} is not a string`);
  }
  return value as LabelRecord;
}

function timeOf(value: unknown, path: string): EpochMs | null {
  const text = textOf(value, path);
  if (text === null) return null;
  const at = parseAlertTime(text);
  if (at === undefined) throw new Misshapen(`${path} is not a date-time: ${JSON.stringify(text.slice(0, 40))}`);
  return at;
}

/** As Go's `url.ParseRequestURI`: absolute, or an absolute path. */
function isUri(text: string): boolean {
  return (text.startsWith("/") || /^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text)) && !/[\s\p{Cc}]/u.test(text);
}

/** Where posted alerts belong, and who posts them. */
export type Poster = Pick<AlertInput, "projectId"> & ReturnType<typeof reporterOf>;

/**
 * The input of a posted alert, with the times that Alertmanager gives it.
 * @param now by the wall clock. @throws VALIDATION_FAILED in Alertmanager's words
 */
export function inputOf(alert: AlertmanagerAlert, { projectId, sender, mayEnd }: Poster, now: EpochMs): AlertInput {
  const startsAt = alert.startsAt ?? alert.endsAt ?? now;
  const endsAt = alert.endsAt ?? now + RESOLVE_TIMEOUT_MS;
  if (endsAt < startsAt) throw new PrismError("VALIDATION_FAILED", "start time must be before end time");
  const count = countLabels(alert.labels);
  if (count > MAX_LABELS) throw new PrismError("VALIDATION_FAILED", `an alert has at most ${MAX_LABELS} labels`);
  if (count === 0) throw new PrismError("VALIDATION_FAILED", "at least one label pair required");
  requireNames("label set", alert.labels);
  requireNames("annotations", alert.annotations);
  return {
    projectId,
    source: "alertmanager",
    sourceId: null,
    labels: alert.labels,
    annotations: alert.annotations,
    generatorUrl: alert.generatorUrl,
    startsAt,
    endsAt,
    isTimeoutEnd: alert.endsAt === null,
    sender,
    mayEnd,
  };
}

function countLabels(labels: LabelRecord): number {
  let count = 0;
  for (const name of Object.keys(labels)) if (labels[name] !== "") count++;
  return count;
}

function requireNames(name: string, record: LabelRecord): void {
  try {
    checkLabels(record);
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    throw new PrismError("VALIDATION_FAILED", `invalid ${name}: ${error.message}`, { cause: error });
  }
}

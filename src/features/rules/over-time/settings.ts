import { PrismError } from "../../../core/errors.ts";
import { type Condition, compileTemplate, type RuleEvent, readCondition, type Template } from "../language/language.ts";
import { Rule, type RuleRow } from "../rule.ts";
import { type Text, textsOf } from "../texts.ts";
import type { AbsenceSetting, AlertSetting, ThresholdSetting } from "./schema.ts";

const MAX_KEY_LENGTH = 256;

/** A rule's settings about time and alerts, parsed once when the rule takes effect. */
export interface OverTimeSettings {
  readonly threshold: Keyed<ThresholdSetting> | null;
  readonly absence: Keyed<AbsenceSetting> | null;
  readonly alert: AlertTemplates | null;
}

type Keyed<T extends { key?: string | undefined }> = Omit<T, "key"> & { readonly key: Template | null };

export interface AlertTemplates {
  readonly key: Template | null;
  readonly labels: readonly (readonly [string, Template])[];
  readonly annotations: readonly NamedText[];
  readonly severity: Template | null;
  readonly resolve: Condition | null;
  /** Null: it fires until it is resolved. */
  readonly resolveAfterMs: number | null;
  /** 0: it fires at once. */
  readonly forMs: number;
}

type Columns = Pick<RuleRow, "threshold" | "absence" | "alert">;
type Templates = Readonly<Record<string, string>> | undefined;
type Texts = Pick<RuleRow, "name" | "titleTemplate" | "messageTemplate">;
type NamedText = readonly [string, Text];

/**
 * @returns null for a rule without such settings, which is then evaluated as if they did not exist.
 * @throws INVALID_TEMPLATE, INVALID_CONDITION
 */
export function overTimeSettings(row: Columns & Texts): OverTimeSettings | null {
  if (row.threshold === null && row.absence === null && row.alert === null) return null;
  const { threshold, absence, alert } = settingsOf(row);
  return {
    threshold: threshold && { ...threshold, key: optionalTemplate(threshold.key, "threshold.key") },
    absence: absence && { ...absence, key: optionalTemplate(absence.key, "absence.key") },
    alert: alert && alertTemplates(alert, absence, row),
  };
}

function alertTemplates(alert: AlertSetting, absence: AbsenceSetting | null, texts: Texts): AlertTemplates {
  const { resolve } = alert;
  const severity = alert.severity === undefined ? {} : { severity: alert.severity };
  const labels = { alertname: escaped(texts.name), ...severity, ...(alert.labels as Templates) };
  const annotations = new Map<string, Text>(compiled((alert.annotations as Templates) ?? {}, "alert.annotations"));
  const own = textsOf({ ...texts, absence: absence && JSON.stringify(absence) });
  if (!annotations.has("summary")) annotations.set("summary", own.title);
  if (!annotations.has("description")) annotations.set("description", own.description);
  return {
    key: optionalTemplate(absence?.key ?? alert.key, "alert.key"),
    labels: compiled(labels, "alert.labels"),
    annotations: [...annotations],
    severity: optionalTemplate(alert.severity, "alert.severity"),
    resolve: resolve === undefined ? null : refusedAs("alert.resolve", () => readCondition(resolve)),
    resolveAfterMs: alert.resolveAfterMs ?? null,
    forMs: alert.forMs ?? 0,
  };
}

function settingsOf(row: Columns) {
  return {
    threshold: Rule.value(row, "threshold"),
    absence: Rule.value(row, "absence"),
    alert: Rule.value(row, "alert"),
  };
}

/** @throws VALIDATION_FAILED, and as above */
export function requireOverTime(row: Columns & Texts): void {
  requireMeaningful(settingsOf(row));
  const settings = overTimeSettings(row);
  refusedAs("alert.resolve", () => settings?.alert?.resolve?.measure());
}

/** @throws VALIDATION_FAILED for settings that exclude each other */
function requireMeaningful({ threshold, absence, alert }: ReturnType<typeof settingsOf>): void {
  if (!absence) return;
  if (threshold) throw invalid("absence", "a rule counts matches (threshold) or awaits them (absence), not both");
  if (alert?.key !== undefined)
    throw invalid("alert.key", "leave it out: the alert of an absence has the key of absence.key");
  if (alert?.resolve !== undefined)
    throw invalid("alert.resolve", "leave it out: the next match resolves the alert of an absence");
  if (alert?.forMs !== undefined) throw invalid("alert.forMs", "leave it out: absence.forMs is the time to wait");
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `${path}: ${message}`, { details: [{ path, code: "VALUE", message }] });
}

/** Names the field of a second condition in its error. @throws INVALID_CONDITION */
function refusedAs<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    const message = error.message.replace(/^condition/, path);
    const details = error.details?.map((detail) => ({ ...detail, path }));
    throw new PrismError(error.code, message, { cause: error, ...(details ? { details } : {}) });
  }
}

/** The rendered key of an event; "" without a template. */
export function keyOf(template: Template | null, event: RuleEvent): string {
  return template === null ? "" : template.render(event, MAX_KEY_LENGTH);
}

/** Key of a map by project or rule and the rendered key. */
export function seriesKey(ownerId: string, key: string): string {
  return `${ownerId} ${key}`;
}

function compiled(texts: Readonly<Record<string, string>>, field: string): (readonly [string, Template])[] {
  return Object.entries(texts).map(([name, text]) => [name, compileTemplate(text, `${field}.${name}`)] as const);
}

function optionalTemplate(text: string | undefined, field: string): Template | null {
  return text === undefined ? null : compileTemplate(text, field);
}

/** A text that a template shows as it is. */
export function escaped(text: string): string {
  return text.replaceAll("{{", "{ {");
}

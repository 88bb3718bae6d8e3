import { cleanText } from "../../core/text/clean-text.ts";
import { type DescribedEvent, describeEvent, type EventDescription } from "../../core/text/describe-event.ts";
import type { Level } from "../../core/text/vocabulary.ts";
import { compileTemplate, cutText, type RuleEvent } from "./language/language.ts";
import type { RuleRow } from "./rule.ts";

/** A text made of an event, at most as long as its field. */
export interface Text {
  render(event: RuleEvent, maxCodePoints: number): string;
}

export type TextColumns = Pick<RuleRow, "name" | "titleTemplate" | "messageTemplate"> &
  Partial<Pick<RuleRow, "threshold" | "absence">>;

export interface RuleTexts {
  readonly title: Text;
  readonly message: Text;
  /** The message without level and place, which an alert has as labels. */
  readonly description: Text;
}

/**
 * The texts of a rule: its templates, or the description of the event; for an absence, which no
 * event describes, what has not come. @throws INVALID_TEMPLATE
 */
export function textsOf(row: TextColumns): RuleTexts {
  const defaults = row.absence ? absent(row) : ofEvent(row);
  const { titleTemplate, messageTemplate } = row;
  const message = messageTemplate === null ? null : compileTemplate(messageTemplate, "messageTemplate");
  return {
    title: titleTemplate === null ? defaults.title : compileTemplate(titleTemplate, "titleTemplate"),
    message: message ?? defaults.message,
    description: message ?? defaults.description,
  };
}

function ofEvent({ threshold }: TextColumns): RuleTexts {
  const limit = threshold ? (JSON.parse(threshold) as { count: number; windowMs: number }) : null;
  const note = limit ? `${limit.count} within ${durationText(limit.windowMs)}` : undefined;
  const text = (event: RuleEvent): string =>
    (note === undefined ? descriptionOf(event) : describeEvent(event, note)).text;
  return {
    title: { render: (event, max) => cutText(descriptionOf(event).title, max) },
    message: { render: (event, max) => cutText(text(event), max) },
    description: { render: (event, max) => cutText(descriptionOf(event).body, max) },
  };
}

function absent({ name, absence }: TextColumns): RuleTexts {
  const { forMs } = JSON.parse(absence ?? "{}") as { forMs: number };
  const title = `${name}: nothing for ${durationText(forMs)}`;
  const last = (event: RuleEvent): string =>
    event.id === ""
      ? "No event has come yet"
      : `The last event came at ${timeText(event.receivedAt)}: ${descriptionOf(event).title}`;
  const message: Text = { render: (event, max) => cutText(last(event), max) };
  return { title: { render: (_event, max) => cutText(title, max) }, message, description: message };
}

/** Normalising can lengthen a text, so it is truncated again. */
export function rendered(text: Text, event: RuleEvent, length: number): string {
  return cutText(cleanText(text.render(event, length)), length);
}

/** The event described last: several texts of several rules are made of one, one after the other. */
let described: { readonly event: DescribedEvent; readonly description: EventDescription } | null = null;

function descriptionOf(event: DescribedEvent): EventDescription {
  if (described?.event !== event) described = { event, description: describeEvent(event) };
  return described.description;
}

/** Values that a notification takes from its event besides its texts. */
export interface EventExtras {
  /** JSON of an action that opens the event's link. */
  readonly action: string | null;
  /** JSON with the `level` from `warn` on, and with `fields`. */
  readonly data: string | null;
}

const NO_EXTRAS: EventExtras = { action: null, data: null };

/**
 * Link and fields come with the default message only: who writes a template chooses what is shown.
 * The last event says nothing about an absence.
 */
export function extrasOf(event: RuleEvent, row: Pick<RuleRow, "messageTemplate" | "absence">): EventExtras {
  if (row.absence !== null) return ABSENT;
  if (row.messageTemplate !== null) return EXTRAS_OF_LEVEL[event.level as Level] ?? NO_EXTRAS;
  const { level, link, fields } = descriptionOf(event);
  if (link === undefined && fields.length === 0) return EXTRAS_OF_LEVEL[level];
  return {
    action: link === undefined ? null : JSON.stringify({ type: "open", url: link }),
    data: fields.length === 0 ? EXTRAS_OF_LEVEL[level].data : JSON.stringify({ ...levelMember(level), fields }),
  };
}

function levelMember(level: Level): { level?: Level } {
  return level === "debug" || level === "info" ? {} : { level };
}

const EXTRAS_OF_LEVEL: Readonly<Record<Level, EventExtras>> = {
  debug: NO_EXTRAS,
  info: NO_EXTRAS,
  warn: { action: null, data: '{"level":"warn"}' },
  error: { action: null, data: '{"level":"error"}' },
  fatal: { action: null, data: '{"level":"fatal"}' },
};
const ABSENT = EXTRAS_OF_LEVEL.warn;

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
] as const;

/** `26 h`, `90 s`: the largest unit that gives a whole number. */
function durationText(ms: number): string {
  const [unit, length] = UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ["s", 1000];
  return `${Math.round(ms / length)} ${unit}`;
}

function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

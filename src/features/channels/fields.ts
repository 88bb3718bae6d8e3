import { type ErrorDetail, PrismError } from "../../core/errors.ts";
import { maskOf } from "../../core/text/redact.ts";
import type { ChannelRow } from "./channel.ts";
import { openWith } from "./messages.ts";
import { noticeOf } from "./notice.ts";
import { type Preset, type PresetField, readPreset, requestOf } from "./preset.ts";
import { checkRequest } from "./preset-checks.ts";
import { previewOf } from "./sending/sender.ts";
import type { Texts } from "./store.ts";
import { BadTemplate } from "./templates/template.ts";
import { checkText } from "./templates/tree.ts";

const MAX_URL = 2048;

export type GivenFields = Readonly<Record<string, string | number | null>>;

/**
 * The fields of a channel after a change.
 * @throws VALIDATION_FAILED for every field that does not fit the preset
 */
export function fieldsAfter(preset: Preset, given: GivenFields, before: Texts = {}): Texts {
  const problems: ErrorDetail[] = [];
  const known = new Map(preset.fields.map((field) => [field.key, field]));
  for (const key of Object.keys(given))
    if (!known.has(key)) problems.push(problem(`fields.${key}`, unknownField(preset, key)));
  const after: Record<string, string> = {};
  for (const field of preset.fields) {
    const value = valueAfter(field, given, before);
    if (value !== "") after[field.key] = value;
    const wrong = value === "" ? missing(field) : problemWith(field, value);
    if (wrong !== undefined) problems.push(problem(`fields.${field.key}`, wrong));
  }
  problems.push(...keptSecrets(preset, given, before, after));
  if (problems.length > 0) throw refused(problems);
  return after;
}

/** Who changes the server must know the secrets that it gets. */
function keptSecrets({ fields }: Preset, given: GivenFields, before: Texts, after: Texts): ErrorDetail[] {
  const moved = fields.find(({ key, type }) => type === "url" && (before[key] ?? "") !== (after[key] ?? ""));
  if (!moved || Object.keys(before).length === 0) return [];
  const isKept = ({ key, secret }: PresetField): boolean => {
    const value = given[key];
    return secret && key !== moved.key && key in after && (value === undefined || value === maskOf(before[key] ?? ""));
  };
  const why = `must be given again, because ${moved.key} changes: a stored secret is not sent to another address`;
  return fields.filter(isKept).map(({ key }) => problem(`fields.${key}`, why));
}

function valueAfter({ key, secret }: PresetField, given: GivenFields, before: Texts): string {
  const old = before[key] ?? "";
  const value = given[key];
  if (value === undefined) return old;
  // A client that sends back what it was shown changes nothing.
  if (secret && old !== "" && value === maskOf(old)) return old;
  return value === null ? "" : String(value).trim();
}

function unknownField({ name, fields }: Preset, key: string): string {
  const list = fields.map((field) => `${field.key} (${field.title})`).join(", ");
  return `the preset ${name} has no field ${key}; its fields: ${list}`;
}

function missing({ required, default: value, title, example }: PresetField): string | undefined {
  return required && value === undefined ? `is required: ${title}, such as ${example}` : undefined;
}

function problemWith({ type, pattern, choices, hint, example }: PresetField, value: string): string | undefined {
  const more = hint === undefined ? "" : `; ${hint}`;
  if (type !== "long" && /[\p{Cc}]/u.test(value)) return "must be one line";
  const such = `, such as ${example}${more}`;
  if (type === "number" && !/^-?\d+(\.\d+)?$/.test(value)) return `must be a number${such}`;
  if (type === "choice" && choices && !choices.includes(value)) return `must be one of ${choices.join(", ")}`;
  if (type === "url" && (!URL.canParse(value) || value.length > MAX_URL || !/^https?:/i.test(value)))
    return `must be a URL${such}`;
  if (pattern === undefined || new RegExp(`^(?:${pattern})$`, "u").test(value)) return undefined;
  const [, most] = /^\.\{1,(\d+)\}$/.exec(pattern) ?? [];
  return most === undefined ? `must look like ${example}${more}` : `must be at most ${most} characters${such}`;
}

/** A message that is only built, not sent. */
export const SAMPLE = noticeOf({
  ...{ title: "Test", message: "Prism can reach this channel.", severity: "info", status: "event", priority: 0 },
  ...{ key: "test", atMs: 0, url: "https://prism.example.com/", project: "Test" },
});

/** Checks that the channel can make a request, and its own templates. @throws VALIDATION_FAILED */
export function requireUsable(preset: Preset, row: ChannelRow, fields: Texts): void {
  try {
    checkOwn(preset, row);
    previewOf(openWith(preset, row, fields), "send", { n: SAMPLE, id: row.id }, 0);
  } catch (error) {
    const path = error instanceof Error && error.name === "BadRequest" ? "fields" : "template";
    throw refused([problem(path, error instanceof Error ? error.message : String(error))]);
  }
}

const OWN = ["title", "message"] as const;
const CUSTOM = ["request", "ok", "errors"] as const;

function checkOwn(preset: Preset, { template }: ChannelRow): void {
  if (template === null) return;
  const own = JSON.parse(template) as Record<string, unknown>;
  for (const name of Object.keys(own)) {
    const isText = (OWN as readonly string[]).includes(name);
    const isCustom = (CUSTOM as readonly string[]).includes(name);
    if (!isText && !isCustom) throw new BadTemplate(`${name} is not a member of a template`);
    if (isCustom && !preset.custom)
      throw new BadTemplate(`the preset ${preset.name} has no ${name} of a channel's own`);
  }
  const onlyMessage = ([root]: readonly string[]): void => {
    if (root !== "n") throw new BadTemplate(`texts of messages may use n only, not ${root}`);
  };
  for (const name of OWN) {
    const text = own[name];
    if (text !== undefined && typeof text !== "string") throw new BadTemplate(`${name} must be a string`);
    if (text !== undefined) checkText(text, onlyMessage);
  }
  if (own.request !== undefined) checkRequest(requestOf(own.request), preset);
  // The rows are checked with the rest of a preset.
  const { ok = preset.ok, errors = preset.errors } = own as Partial<Preset>;
  const { code: _, ...data } = preset;
  const rows = readPreset({ ...data, ok, errors });
  // Users write these: an expression that repeats could take minutes.
  const isCostly = [...(own.ok ? rows.ok : []), ...(own.errors ? rows.errors : [])].some(({ text }) =>
    /[*+?{([\\]/.test(text ?? ""),
  );
  if (isCostly) throw new BadTemplate("text of a row is plain words, with ^ at the start and | between them");
}

function problem(path: string, message: string): ErrorDetail {
  return { path, code: "INVALID", message };
}

function refused(details: readonly ErrorDetail[]): PrismError {
  const [first] = details;
  const text = first ? `The channel is not valid: ${first.path} ${first.message}` : "The channel is not valid";
  return new PrismError("VALIDATION_FAILED", text, { details });
}

import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import { untilDate } from "../../delivery/index.ts";
import type { ErrorRow, OkRow, OutcomeClass, Preset, SendingStep } from "../preset.ts";
import { readPath, textOf, valueAt } from "../templates/template.ts";
import { isPresent } from "../templates/tree.ts";

/** An answer of a service. */
export interface ServiceAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** Meaning of an answer, by the tables of the preset. */
export interface AnswerVerdict {
  readonly class: OutcomeClass;
  /** With `wait`. */
  readonly afterMs?: number;
  /** With `wait`: the answer names no time, `afterMs` is a usual one. */
  readonly isGuess?: boolean;
  readonly hint?: string;
  /** With `ok` after `send`. */
  readonly ref?: Readonly<Record<string, string>>;
  /** New values of fields. */
  readonly set?: Readonly<Record<string, string>>;
  /** The status of a success, with a body that is in no row. */
  readonly isUnknown?: boolean;
}

const TEXT_LENGTH = 2048;
/** A service that names no time does not want the message at once. */
const WAIT_MS = 30_000;
const RETRIED = new Set([408, 425]);

export function classify(preset: Preset, step: SendingStep, answer: ServiceAnswer, now: EpochMs): AnswerVerdict {
  const read = reader(answer);
  const fits = (row: OkRow | ErrorRow): boolean => isFor(row, step) && matches(row, answer, read);
  // Rows of errors first: a service may answer 200 for them too.
  const row = preset.errors.find(fits);
  if (row) return verdictOf(row, preset, read, now);
  if (preset.ok.some(fits)) return { class: "ok", ...refOf(preset, read) };
  return byStatus(answer.status, read, now);
}

function isFor({ for: steps }: OkRow | ErrorRow, step: SendingStep): boolean {
  return steps === undefined || steps.includes(step);
}

/** Whether the body of an answer says that the message was accepted, and not only its status. */
export function statesSuccess({ ok }: Pick<Preset, "ok">, step: SendingStep, answer: ServiceAnswer): boolean {
  const read = reader(answer);
  const stating = ok.filter(({ path, text }) => path !== undefined || text !== undefined);
  return stating.some((row) => isFor(row, step) && matches(row, answer, read));
}

function verdictOf(row: ErrorRow, preset: Preset, read: Read, now: EpochMs): AnswerVerdict {
  const { class: name, hint, after = [], set } = row;
  const values = Object.entries(set ?? {}).map(([field, path]) => [field, textOf(read(path))]);
  return {
    class: name,
    ...(name === "wait" ? waitOf([...after, "header:retry-after"], read, now) : {}),
    ...(name === "ok" ? refOf(preset, read) : {}),
    ...(hint === undefined ? {} : { hint }),
    ...(set ? { set: Object.fromEntries(values) as Record<string, string> } : {}),
  };
}

function byStatus(status: number, read: Read, now: EpochMs): AnswerVerdict {
  const hasTime = isPresent(read("header:retry-after"));
  if (status === 429 || (status === 503 && hasTime))
    return { class: "wait", ...waitOf(["header:retry-after"], read, now) };
  if (status >= 500 || RETRIED.has(status)) return { class: "retry" };
  if (status === 413) return { class: "shorten" };
  if (status >= 300 && status < 400) return { class: "dead", hint: "redirects are not followed" };
  return status < 300 ? { class: "dead", isUnknown: true } : { class: "dead" };
}

function refOf({ ref }: Preset, read: Read): Pick<AnswerVerdict, "ref"> {
  if (!ref) return {};
  const found = Object.entries(ref).map(([name, path]) => [name, textOf(read(path))] as const);
  return found.every(([, value]) => value !== "") ? { ref: Object.fromEntries(found) } : {};
}

type Read = (path: string) => unknown;

/** Reads `$.a.b[0]`, `header:name` and `$` (the whole text) of an answer. */
function reader({ headers, body }: ServiceAnswer): Read {
  let json: unknown;
  let isParsed = false;
  return (path) => {
    if (path.startsWith("header:")) {
      const value = headers[path.slice("header:".length).trim().toLowerCase()];
      return Array.isArray(value) ? (value as readonly string[])[0] : value;
    }
    if (path === "$") return body.trim();
    if (!isParsed) json = parsed(body);
    isParsed = true;
    return valueAt({ $: json }, readPath(path));
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

function matches(row: OkRow | ErrorRow, { status, body }: ServiceAnswer, read: Read): boolean {
  if (row.status !== undefined && ![row.status].flat().some((each) => isStatus(each, status))) return false;
  if (row.text !== undefined && !new RegExp(row.text, "iu").test(body.slice(0, TEXT_LENGTH))) return false;
  if (row.path === undefined) return true;
  const value = read(row.path);
  if (row.absent) return !isPresent(value);
  if (row.equals === undefined) return isPresent(value);
  return [row.equals].flat().some((each) => value !== undefined && textOf(value) === String(each));
}

function isStatus(wanted: number | string, status: number): boolean {
  return typeof wanted === "number" ? wanted === status : Number(wanted[0]) === Math.floor(status / 100);
}

/** The first time that the answer has, in whole ms: at most a day, of an instant at most an hour. */
function waitOf(sources: readonly string[], read: Read, now: EpochMs): Pick<AnswerVerdict, "afterMs" | "isGuess"> {
  for (const source of sources) {
    const constant = /^(\d+)s$/.exec(source);
    if (constant) return { afterMs: Number(constant[1]) * 1000, isGuess: true };
    const waitMs = waitFrom(source, read, now);
    if (waitMs !== undefined) return { afterMs: Math.min(Math.max(0, Math.ceil(waitMs)), DAY_MS) };
  }
  return { afterMs: WAIT_MS, isGuess: true };
}

function waitFrom(source: string, read: Read, now: EpochMs): number | undefined {
  const [path = "", unit = "s"] = source.split(" ");
  const text = textOf(read(path)).trim();
  if (text === "") return undefined;
  const number = Number(text);
  if (Number.isNaN(number)) {
    const date = Date.parse(text);
    return Number.isNaN(date) ? undefined : untilDate(date, now);
  }
  if (unit === "ms") return number;
  if (unit === "epoch") return untilDate(number * 1000, now);
  return unit === "epoch-ms" ? untilDate(number, now) : number * 1000;
}

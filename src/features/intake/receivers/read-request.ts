import { PrismError } from "../../../core/errors.ts";
import { charsetIn, decodeEscapes, decodeForm, decodeText, firstFields } from "../../../core/text/decode-text.ts";
import { parseWithLongIntegers, scanJson } from "../../../core/text/json-text.ts";
import { MAX_JSON_DEPTH, parseJsonText, tooDeep } from "../../../http/body/input.ts";
import { repairJson } from "./almost-json.ts";

/** A request as it arrived. */
export interface RawRequest {
  readonly method: string;
  /** With the path, for signatures over the URL. */
  readonly url: string;
  readonly query: Readonly<Record<string, string>>;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

interface UploadedFile {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly bytes: number;
}

/** The content of a request. */
export interface RequestContent {
  readonly body: unknown;
  readonly text: string | null;
  readonly form: Readonly<Record<string, string>> | null;
  readonly files: readonly UploadedFile[];
  /** For the log: what was done with bytes that are not UTF-8, and with text that is almost JSON. */
  readonly problem?: string | null;
}

/** A body has more members than may be parsed here. */
export class TooManyMembers extends PrismError {
  override readonly name = "TooManyMembers";
  constructor(limit: number) {
    super("PAYLOAD_TOO_LARGE", `The body has more than ${limit} members`);
  }
}

/** Counts before anything is parsed. @throws TooManyMembers @returns whether it nests too deeply */
export function requireFewMembers(text: string, limit: number): boolean {
  const { members, depth } = scanJson(text, MAX_JSON_DEPTH, limit);
  if (members > limit) throw new TooManyMembers(limit);
  return depth > MAX_JSON_DEPTH;
}

const EMPTY: RequestContent = { body: null, text: null, form: null, files: [], problem: null };
const MAX_FIELDS = 1000;
/** Members of any body. */
export const MAX_MEMBERS = 300_000;
/** Characters of `text`. */
export const MAX_TEXT = 65_536;
/** Members of a form that hold the JSON body. */
const JSON_FIELDS = ["payload", "payload_json", "data", "json"];

/**
 * Reads the body by its type, and by its content where types are wrong: curl sends JSON and
 * plain text as a form, SNS sends JSON as text, shoutrrr sends text as JSON.
 * @param needsJson whether a body of a JSON type must be JSON; else it is text
 * @throws TooManyMembers, MALFORMED_JSON, VALIDATION_FAILED for a broken form
 */
export function readContent(
  { headers, bytes }: Pick<RawRequest, "headers" | "bytes">,
  { needsJson = false, maxMembers = MAX_MEMBERS }: { readonly needsJson?: boolean; readonly maxMembers?: number } = {},
): RequestContent {
  if (bytes.length === 0) return EMPTY;
  const header = headers["content-type"] ?? "";
  const type = header.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type === "multipart/form-data") return readMultipart(bytes, header, maxMembers);
  const { text, note } = decodeText(bytes, charsetIn(header));
  const shown = text.slice(0, MAX_TEXT);
  const isJsonType = /[/+]json$/.test(type) || type === "text/json";
  const json = isJsonType || looksLikeJson(text) ? jsonOf(text, isJsonType && needsJson, maxMembers) : undefined;
  if (json) return { ...EMPTY, body: json.value, text: shown, problem: joined(note, json.problem) };
  if (type !== "application/x-www-form-urlencoded") return { ...EMPTY, text: shown, problem: note };
  const plain = plainOf(text);
  if (plain !== null) return { ...EMPTY, text: plain.slice(0, MAX_TEXT), problem: note };
  const form = readForm(bytes, charsetIn(header));
  const body = bodyOfForm(form.fields, maxMembers);
  return { ...EMPTY, body: body.value, text: shown, form: form.fields, problem: joined(form.note, body.problem) };
}

function joined(...problems: readonly (string | null)[]): string | null {
  return problems.filter((each) => each !== null).join("; ") || null;
}

/**
 * A text that `curl -d` or `--data-urlencode` sends as a form.
 * @returns null for a form
 */
function plainOf(text: string): string | null {
  if (text.includes("=")) return null;
  if (/\s/.test(text) || !/%[0-9a-f]{2}/i.test(text)) return text;
  return decodeEscapes(text);
}

function looksLikeJson(text: string): boolean {
  return /^\s*[[{]/.test(text);
}

interface Parsed {
  readonly value: unknown;
  readonly problem: string | null;
}

/** @returns undefined for text that is not JSON, unless it must be. @throws MALFORMED_JSON */
function jsonOf(text: string, isRequired: boolean, maxMembers: number): Parsed | undefined {
  if (requireFewMembers(text, maxMembers)) throw tooDeep();
  try {
    return { value: parseJsonText(text, parseWithLongIntegers), problem: null };
  } catch (error) {
    const almost = looksLikeJson(text) ? almostJsonOf(text, maxMembers) : undefined;
    if (almost === undefined && isRequired) throw error;
    return almost;
  }
}

/** @returns undefined for text that is not JSON with the usual faults */
function almostJsonOf(text: string, maxMembers: number): Parsed | undefined {
  const repaired = repairJson(text);
  if (repaired === null || requireFewMembers(repaired.text, maxMembers)) return undefined;
  try {
    const value: unknown = parseWithLongIntegers(repaired.text);
    return { value, problem: `the body is not quite JSON: ${repaired.faults.join(", ")}` };
  } catch {
    return undefined;
  }
}

/** Fields by name; the last of equal names counts. @throws VALIDATION_FAILED */
function readForm(bytes: Buffer, charset: string | null) {
  if (firstFields(bytes, MAX_FIELDS).length < bytes.length) throw refused(`a form has at most ${MAX_FIELDS} fields`);
  const { fields, note } = decodeForm(bytes, charset);
  return { fields: Object.fromEntries(fields) as Record<string, string>, note };
}

/** The JSON in one of the usual fields, or the form itself. */
function bodyOfForm(form: Readonly<Record<string, string>>, maxMembers: number): Parsed {
  const text = JSON_FIELDS.map((name) => (Object.hasOwn(form, name) ? form[name] : undefined)).find(
    (value) => value !== undefined && looksLikeJson(value),
  );
  return (text === undefined ? undefined : jsonOf(text, false, maxMembers)) ?? { value: form, problem: null };
}

const MAX_PARTS = 100;
const MAX_HEAD_BYTES = 8192;
const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** Fields and files of a form (RFC 7578). @throws VALIDATION_FAILED */
function readMultipart(bytes: Buffer, contentType: string, maxMembers: number): RequestContent {
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw refused("multipart/form-data needs a boundary");
  const form: [string, string][] = [];
  let note: string | null = null;
  const decodePart = (content: Buffer, declared: string): string => {
    const decoded = decodeText(content, charsetIn(declared));
    note ??= decoded.note;
    return decoded.text;
  };
  const files: UploadedFile[] = [];
  for (const part of partsOf(bytes, boundary)) {
    const headEnd = part.indexOf(END_OF_HEAD);
    if (headEnd < 0 || headEnd > MAX_HEAD_BYTES) throw refused("a part of the form has no end of its head");
    const head = decodeText(part.subarray(0, headEnd)).text;
    const content = part.subarray(headEnd + END_OF_HEAD.length);
    const name = parameterOf(head, "name");
    if (name === undefined) throw refused("a part of the form has no name");
    const filename = parameterOf(head, "filename");
    const declared = /^content-type:\s*([^\r\n]{1,200})/im.exec(head)?.[1]?.trim() ?? "text/plain";
    const type = declared.split(";", 1)[0]?.slice(0, 100).trim() ?? "";
    if (filename === undefined) form.push([name, decodePart(content, declared)]);
    else files.push({ name, filename: filename.slice(0, 255), type, bytes: content.length });
  }
  const fields = Object.fromEntries(form);
  const body = bodyOfForm(fields, maxMembers);
  return { body: body.value, text: null, form: fields, files, problem: joined(note, body.problem) };
}

/** @throws VALIDATION_FAILED */
function partsOf(bytes: Buffer, boundary: string): Buffer[] {
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  // The first delimiter may be at the very start.
  let at = bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))
    ? delimiter.length - 2
    : bytes.indexOf(delimiter) + delimiter.length;
  if (at < delimiter.length - 2) throw refused("the form does not contain its boundary");
  const parts: Buffer[] = [];
  for (;;) {
    const rest = bytes.toString("latin1", at, at + 2);
    if (rest === "--") return parts;
    const end = bytes.indexOf(delimiter, at);
    if (rest !== "\r\n" || end < 0) throw refused("the form ends within a part");
    if (parts.length === MAX_PARTS) throw refused(`a form has at most ${MAX_PARTS} parts`);
    parts.push(bytes.subarray(at + 2, end));
    at = end + delimiter.length;
  }
}

function parameterOf(head: string, name: string): string | undefined {
  const line = /^content-disposition:([^\r\n]*)/im.exec(head)?.[1] ?? "";
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^\\s;"]+))`, "i").exec(line);
  return match?.[1] ?? match?.[2];
}

function refused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `The form is not valid: ${message}`);
}

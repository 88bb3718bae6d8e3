import { createHmac } from "node:crypto";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import { type TlsOptions, untilDate } from "../../delivery/index.ts";
import { type NoticeText, withoutMentions } from "../notice.ts";
import type { ErrorRow, OkRow, OutcomeClass, Preset, RequestTemplate, SendingStep } from "../preset.ts";
import {
  compile,
  cutTo,
  measure,
  readPath,
  render,
  type TemplateScope,
  type TextLimit,
  textOf,
  valueAt,
} from "../templates/template.ts";
import { type Filled, fillTree, isPresent } from "../templates/tree.ts";

/** The values of a request besides the preset. */
export interface RequestValues {
  readonly n: NoticeText;
  /** Fields with their defaults; secrets in plain text. */
  readonly field: Readonly<Record<string, string>>;
  readonly ref?: Readonly<Record<string, string>> | undefined;
  /** Id of the delivery. */
  readonly id: string;
  /** Epoch ms. */
  readonly now: number;
}

export interface BuiltRequest {
  readonly method: RequestTemplate["method"];
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Paths of texts that were shortened, and of parts that were dropped. */
  readonly cut: readonly string[];
}

/** A request that must not be sent: its URL, header or size. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

/** @throws BadRequest */
export function buildRequest(
  preset: Preset,
  template: RequestTemplate,
  values: RequestValues,
  { shortened = false }: { readonly shortened?: boolean } = {},
): BuiltRequest {
  const { body, cut, scope } = bodyOf(preset, template, values, shortened ? 1 : 0);
  return {
    method: template.method,
    url: urlOf(preset, template, scope, values.field),
    headers: headersOf(template, scope, body !== undefined),
    body,
    cut,
  };
}

/** More halvings leave nothing of a text. */
const MAX_HALVINGS = 8;

function bodyOf(preset: Preset, template: RequestTemplate, values: RequestValues, halved: number) {
  let built = filledBody(preset, template, scopeOf(preset, values, halved));
  for (let round = halved + 1; built.isTooLarge && round <= MAX_HALVINGS; round++)
    built = filledBody(preset, template, scopeOf(preset, values, round));
  if (built.isTooLarge) throw new BadRequest("the message is larger than the service accepts");
  return built;
}

function scopeOf(preset: Preset, { n, field, ref = {}, id, now }: RequestValues, halved: number): TemplateScope {
  const scope = { n: halve(withoutMentions(n, preset.mentions), halved), field, ref, id, ms: now };
  const timed = { ...scope, s: Math.floor(now / 1000), key: n.key };
  const keyed = preset.key === undefined ? timed : { ...timed, key: render(compile(preset.key), timed).text };
  if (!preset.sign) return keyed;
  const { key, text, encoding, when } = preset.sign;
  if (when !== undefined && !isPresent(valueAt(keyed, readPath(when)))) return { ...keyed, sign: "" };
  const hmac = createHmac("sha256", render(compile(key), keyed).text).update(render(compile(text), keyed).text);
  return { ...keyed, sign: hmac.digest(encoding) };
}

function halve(n: NoticeText, times: number): NoticeText {
  if (times === 0) return n;
  const cut = (text: string): string => cutTo(text, Math.max(8, measure(text, "codepoints") >> times), "codepoints");
  return { ...n, message: cut(n.message), text: cut(n.text), details: cut(n.details) };
}

function filledBody(preset: Preset, template: RequestTemplate, scope: TemplateScope) {
  if (template.body === undefined) return { body: undefined, cut: [], scope, isTooLarge: false };
  const cut = new Set<string>();
  const limits = limitsOf(preset);
  const filled = fillTree(template.body, scope, {
    limitAt: (path) => limits.find(({ pattern }) => pattern.test(path))?.limit,
    onCut: (path) => cut.add(path),
    send: preset.send.body,
  });
  if (filled === undefined) return { body: undefined, cut: [...cut], scope, isTooLarge: false };
  for (const path of preset.drop) {
    if (!isTooLarge(preset, template, filled)) break;
    if (remove(filled, path.split("."))) cut.add(path);
  }
  return { body: serialised(template, filled), cut: [...cut], scope, isTooLarge: isTooLarge(preset, template, filled) };
}

function limitsOf({ cut, unit, counts }: Preset): { readonly pattern: RegExp; readonly limit: TextLimit }[] {
  return Object.entries(cut).map(([path, limit]) => ({
    pattern: new RegExp(`^${path.split(".").map(stepPattern).join("\\.")}$`),
    limit: { limit, unit, counts },
  }));
}

function stepPattern(step: string): string {
  return step === "*" ? "\\d+" : step.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function isTooLarge({ maxBytes, maxText, unit }: Preset, template: RequestTemplate, filled: Filled): boolean {
  if (maxBytes !== undefined && Buffer.byteLength(serialised(template, filled)) > maxBytes) return true;
  return maxText !== undefined && measure(textsOf(filled).join(""), unit) > maxText;
}

function textsOf(filled: Filled): string[] {
  if (typeof filled === "string") return [filled];
  return typeof filled === "object" && filled !== null ? Object.values(filled).flatMap(textsOf) : [];
}

function remove(filled: Filled, [step = "", ...rest]: readonly string[]): boolean {
  if (typeof filled !== "object" || filled === null) return false;
  if (Array.isArray(filled)) {
    const index = Number(step);
    if (step === "*") return filled.map((each) => remove(each, rest)).some(Boolean);
    if (rest.length > 0) return filled[index] !== undefined && remove(filled[index], rest);
    return filled.splice(index, 1).length > 0;
  }
  if (!Object.hasOwn(filled, step)) return false;
  if (rest.length > 0) return remove(filled[step] ?? null, rest);
  return delete filled[step];
}

function serialised({ type }: RequestTemplate, filled: Filled): string {
  if (type === "json") return JSON.stringify(filled);
  if (type === "text") return typeof filled === "string" ? filled : JSON.stringify(filled);
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(Object(filled) as Record<string, Filled>))
    form.append(name, typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? ""));
  return form.toString();
}

function urlOf(
  preset: Preset,
  { url, query }: RequestTemplate,
  scope: TemplateScope,
  field: Readonly<Record<string, string>>,
): string {
  const [first, ...rest] = compile(url);
  // A field of type `url` is used as it is: the compiled preset has checked where it may be.
  const isBase = first !== undefined && typeof first !== "string";
  const base = isBase ? render([first], scope).text.replace(/\/+$/, "") : "";
  const text = base + render(isBase ? rest : compile(url), scope, { encode: encodeURIComponent }).text;
  if (!URL.canParse(text)) throw new BadRequest("the URL cannot be read");
  const target = new URL(text);
  for (const [written, value] of Object.entries(query ?? {})) {
    const filled = render(compile(value), scope).text;
    if (filled !== "" || !written.endsWith("?")) target.searchParams.append(written.replace(/\?$/, ""), filled);
  }
  requireHost(preset, target);
  return withApi(target, field.api).href;
}

function requireHost({ hosts, title }: Preset, { protocol, hostname, port, username }: URL): void {
  if (username !== "") throw new BadRequest("the URL holds a user name");
  if (!hosts) return;
  const fits = hosts.some((host) => (host.startsWith("*.") ? hostname.endsWith(host.slice(1)) : hostname === host));
  if (!fits || protocol !== "https:" || port !== "")
    throw new BadRequest(`${title} is reached at https://${hosts.join(" or https://")} only`);
}

/** The same request at another base URL, for proxies and tests. */
export function withApi(target: URL, api: string | undefined): URL {
  if (api === undefined || api === "") return target;
  if (!URL.canParse(api)) throw new BadRequest("the field api is not a URL");
  const base = new URL(api);
  base.pathname = base.pathname.replace(/\/+$/, "") + target.pathname;
  base.search = target.search;
  return base;
}

/** Headers that belong to the connection, or that a server could take for its own. */
const RESERVED = new Set(["host", "content-length", "transfer-encoding", "connection", "cookie", "upgrade", "te"]);
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;

function headersOf(template: RequestTemplate, scope: TemplateScope, hasBody: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  if (hasBody) headers["Content-Type"] = template.contentType ?? CONTENT_TYPES[template.type];
  for (const [written, value] of Object.entries(template.headers ?? {})) {
    const name = written.replace(/\?$/, "");
    requireSettable(name);
    const text = headerText(render(compile(value), scope).text);
    if (text !== "" || name === written) headers[name] = text;
  }
  for (const { name, value } of headerLinesOf(render(compile(template.headerLines ?? ""), scope).text)) {
    requireSettable(name);
    headers[name] = value;
  }
  const authorization = authorizationOf(template, scope);
  if (authorization !== undefined) headers.Authorization = authorization;
  return headers;
}

/** The headers of a text with one `Name: value` a line; the name is empty if a line has none. */
export function headerLinesOf(text: string): { readonly name: string; readonly value: string }[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", value = ""] = /^\s*([^:\s]*)\s*:(.*)$/.exec(line) ?? [];
    return line.trim() === "" ? [] : [{ name, value: headerText(value) }];
  });
}

function requireSettable(name: string): void {
  // A line that cannot be read may be a secret.
  if (!TOKEN.test(name)) throw new BadRequest("a header needs a name, such as X-Team: db");
  if (RESERVED.has(name.toLowerCase())) throw new BadRequest(`the header ${name} cannot be set`);
}

/** TLS settings in the fields of a channel; undefined: the server's. */
export function tlsOf(fields: Readonly<Record<string, string>>): TlsOptions | undefined {
  const { ca, cert, key, serverName: servername, verify } = fields;
  if (![ca, cert, key, servername].some(Boolean) && verify !== "off") return undefined;
  return { ...(ca ? { ca } : {}), cert, key, servername, rejectUnauthorized: verify !== "off" };
}

const CONTENT_TYPES = {
  json: "application/json; charset=utf-8",
  form: "application/x-www-form-urlencoded",
  text: "text/plain; charset=utf-8",
} as const;

function authorizationOf({ auth }: RequestTemplate, scope: TemplateScope): string | undefined {
  if (!auth) return undefined;
  if ("bearer" in auth) {
    const token = render(compile(auth.bearer), scope).text;
    return token === "" ? undefined : `Bearer ${headerText(token)}`;
  }
  const [name, password] = auth.basic.map((text) => render(compile(text), scope).text);
  if (!name && !password) return undefined;
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

/** One line; other alphabets as in RFC 2047. */
function headerText(text: string): string {
  const line = text.replace(/[\p{Cc}]+/gu, " ").trim();
  return /^[\x20-\x7e\xa0-\xff]*$/.test(line) ? line : `=?UTF-8?B?${Buffer.from(line).toString("base64")}?=`;
}

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

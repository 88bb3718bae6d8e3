import { createHmac } from "node:crypto";
import type { TlsOptions } from "../../delivery/index.ts";
import { type NoticeText, withoutMentions } from "../notice.ts";
import type { Preset, RequestTemplate } from "../preset.ts";
import { cutTo, measure } from "../templates/measure.ts";
import { compile, readPath, render, type TemplateScope, type TextLimit, valueAt } from "../templates/template.ts";
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

import { isUtf8 } from "node:buffer";
import { PrismError } from "../../../core/errors.ts";
import { charsetIn, decodeForm, decodeText, MAX_FIELDS, tooManyFields } from "../../../core/text/decode-text.ts";
import { parseJson } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { badRequest } from "./errors.ts";

/** The members of a request, as JSON or as a form with the query's parameters. */
export interface Fields {
  readonly values: ReadonlyMap<string, unknown>;
  readonly isForm: boolean;
}

/** Bytes of a form's file, and its name. */
export interface FormFile {
  readonly filename: string;
  readonly bytes: Buffer;
}

/** A body without a content type is a form, as in Gotify. @throws GotifyError 400 */
export async function readFields(exchange: Exchange, body: Buffer): Promise<Fields> {
  try {
    return await fieldsOf(exchange, body);
  } catch (error) {
    throw error instanceof PrismError ? badRequest(error.message) : error;
  }
}

async function fieldsOf(exchange: Exchange, body: Buffer): Promise<Fields> {
  const type = exchange.header("content-type").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return { values: jsonMembers(body, exchange), isForm: false };
  const query = decodeForm(exchange.queryText).fields;
  const form = type === "multipart/form-data" ? await textParts(exchange, body) : urlencoded(exchange, body);
  // The body's value wins, and of a repeated one the first.
  const texts = [...form, ...query].filter(([, value]) => typeof value === "string");
  return { values: new Map(texts.reverse()), isForm: true };
}

/** The file of a form. @throws GotifyError 400 */
export async function readFile(exchange: Exchange, body: Buffer, name: string): Promise<FormFile> {
  const isForm = /^multipart\/form-data\s*;/i.test(exchange.header("content-type"));
  const file = isForm ? (await multipart(exchange, body)).find(([key]) => key === name)?.[1] : undefined;
  if (file === undefined || typeof file === "string") throw badRequest(`file with key '${name}' must be present`);
  return { filename: file.name, bytes: Buffer.from(await file.arrayBuffer()) };
}

/** Names are compared without case, as Go reads JSON; an exact name wins. */
function jsonMembers(body: Buffer, exchange: Exchange): Map<string, unknown> {
  const value = parsed(body, exchange);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badRequest("json: cannot unmarshal the body into an object");
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return new Map([...members.map(([key, member]) => [key.toLowerCase(), member] as const), ...members]);
}

function parsed(body: Buffer, exchange: Exchange): unknown {
  if (body.length === 0) throw badRequest("EOF");
  return parseJson(body, { exchange });
}

function urlencoded(exchange: Exchange, body: Buffer): readonly (readonly [string, string])[] {
  const { fields, note } = decodeForm(body, charsetIn(exchange.header("content-type")));
  exchange.textNote ??= note;
  return fields;
}

/** The parts of a form, whose texts may be of another encoding than UTF-8. */
async function textParts(exchange: Exchange, body: Buffer): Promise<[string, string | File][]> {
  if (isUtf8(body)) return multipart(exchange, body);
  // The parser reads UTF-8 only: each byte becomes a letter, and a byte again afterwards.
  const parts = await multipart(exchange, Buffer.from(body.toString("latin1")));
  return parts.map(([name, value]) => {
    if (typeof value !== "string") return [name, value];
    const { text, note } = decodeText(Buffer.from(value, "latin1"));
    exchange.textNote ??= note;
    return [name, text];
  });
}

async function multipart(exchange: Exchange, body: Buffer): Promise<[string, string | File][]> {
  const headers = { "Content-Type": exchange.header("content-type") };
  const form = await new Response(new Uint8Array(body), { headers }).formData().catch(() => {
    throw badRequest("multipart: the form cannot be read");
  });
  const fields = [...form] as [string, string | File][];
  if (fields.length > MAX_FIELDS) throw tooManyFields();
  return fields;
}

/** @returns undefined for a missing one. @throws GotifyError 400 */
export function textField({ values }: Fields, name: string): string | undefined {
  const value = values.get(name);
  if (value === undefined || typeof value === "string") return value;
  throw mismatch(value, name, "string");
}

/** @throws GotifyError 400, also for an empty one */
export function requiredText(fields: Fields, name: string): string {
  const text = textField(fields, name) ?? "";
  if (text === "") throw badRequest(`Field '${name}' is required`);
  return text;
}

/** @returns undefined for a missing one. @throws GotifyError 400 */
export function integerField({ values, isForm }: Fields, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined || (isForm && value === "")) return undefined;
  if (!isForm && typeof value !== "number") throw mismatch(value, name, "int");
  const number = Number(value);
  const isPlain = !isForm || /^[+-]?\d{1,16}$/.test(String(value));
  if (isPlain && Number.isSafeInteger(number)) return number === 0 ? 0 : number;
  if (isForm) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  throw mismatch(value, name, "int");
}

/** An object, which only JSON can have. @throws GotifyError 400 */
export function objectField({ values, isForm }: Fields, name: string): object | undefined {
  const value = values.get(name);
  if (value === undefined || isForm) return undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw mismatch(value, name, "map[string]interface {}");
}

function mismatch(value: unknown, name: string, type: string): Error {
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  return badRequest(`json: cannot unmarshal ${kind} into Go struct field .${name} of type ${type}`);
}

/** An id in a path. @throws GotifyError 400 */
export function idOf(exchange: Exchange): number {
  const { id = "" } = exchange.params;
  if (!/^\d{1,16}$/.test(id) || !Number.isSafeInteger(Number(id))) throw badRequest("invalid id");
  return Number(id);
}

import { isUtf8 } from "node:buffer";
import { sha256Hex } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { charsetIn, looksLikeText } from "../../core/text/decode-text.ts";
import { wordsFor } from "../../core/text/words.ts";
import { isReadable } from "../../http/body/body.ts";
import { bodyText, type JsonMembers, parseJson, parseQuery } from "../../http/body/input.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { MAX_EVENT_MEMBERS } from "./pipeline/read-events.ts";

const CLOUD_EVENT = "application/cloudevents";
const BATCH = "application/cloudevents-batch";
const MAX_KEY = 256;
const MAX_NAME = 100;
const SEVERITIES = wordsFor("cloudevents");

/**
 * Events in another form than Prism's: CloudEvents 1.0 in the binary, structured and batched mode
 * of its HTTP binding, and plain text.
 * @returns JSON text of one event, or of an array of them; null for a body in Prism's form
 * @throws UNSUPPORTED_MEDIA_TYPE, VALIDATION_FAILED, MALFORMED_JSON
 */
export function foreignEvents(exchange: Exchange, body: Buffer): string | null {
  const header = exchange.header("content-type").toLowerCase();
  const isBinary = exchange.header("ce-specversion") !== "";
  if (header === "application/json" && !isBinary) return body.length === 0 ? "{}" : null;
  const type = (header.split(";", 1)[0] ?? "").trim();
  // The prefix of a batch is the longer one.
  if (type.startsWith(BATCH)) return JSON.stringify(batched(exchange, type, body));
  if (type.startsWith(CLOUD_EVENT)) return JSON.stringify(structured(exchange, type, body));
  if (isBinary) return JSON.stringify(eventOf(binary(exchange, type, body), ""));
  if (body.length === 0) return "{}";
  if (!isReadable(exchange)) throw unsupported("Send the body in UTF-8");
  if (type === "text/plain") return JSON.stringify(textEvent(exchange, body));
  if (type === "application/json" || type === "application/x-ndjson") return null;
  throw unsupported("Send application/json, application/x-ndjson, text/plain or CloudEvents, in UTF-8");
}

/** Whether the events of a body in another form are CloudEvents. */
export function isCloudEvents(exchange: Exchange, type: string): boolean {
  return exchange.header("ce-specversion") !== "" || type.trimStart().toLowerCase().startsWith(CLOUD_EVENT);
}

function unsupported(message: string): PrismError {
  return new PrismError("UNSUPPORTED_MEDIA_TYPE", message);
}

/** Limit of a batch of CloudEvents, which is parsed at once. */
const MAX_BATCH_MEMBERS = 200_000;

function batched(exchange: Exchange, type: string, body: Buffer): JsonMembers[] {
  if (type !== `${BATCH}+json`) throw unsupported("CloudEvents are read as JSON: application/cloudevents-batch+json");
  const events = parseJson(body, { maxMembers: MAX_BATCH_MEMBERS, exchange });
  if (!Array.isArray(events)) throw invalid("", "must be an array of CloudEvents");
  return events.map((event: unknown, i) => eventOf(requireObject(event, `${i}`), `${i}.`));
}

const ONE = { maxMembers: MAX_EVENT_MEMBERS };

function structured(exchange: Exchange, type: string, body: Buffer): JsonMembers {
  if (type !== `${CLOUD_EVENT}+json`) throw unsupported("CloudEvents are read as JSON: application/cloudevents+json");
  return eventOf(requireObject(parseJson(body, { ...ONE, exchange }), ""), "");
}

function requireObject(value: unknown, path: string): JsonMembers {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonMembers;
  throw invalid(path, "must be a CloudEvent, a JSON object");
}

/** Attributes from `ce-` headers, data from the body. */
function binary(exchange: Exchange, type: string, body: Buffer): JsonMembers {
  const attributes = exchange.headerNames().flatMap((name): [string, string][] => {
    const attribute = /^ce-([a-z0-9]{1,64})$/.exec(name)?.[1];
    return attribute === undefined ? [] : [[attribute, headerText(name, exchange.header(name))]];
  });
  const known = { ...Object.fromEntries(attributes), ...(type !== "" && { datacontenttype: type }) };
  if (body.length === 0) return known;
  if (type === "" || /[/+]json$/.test(type)) return { ...known, data: parseJson(body, { ...ONE, exchange }) };
  const text = isText(exchange, type, body) ? bodyText(body, exchange) : undefined;
  return text === undefined ? { ...known, data_base64: body.toString("base64") } : { ...known, data: text };
}

function isText(exchange: Exchange, type: string, body: Buffer): boolean {
  if (!type.startsWith("text/") && !type.endsWith("xml")) return false;
  return isUtf8(body) || charsetIn(exchange.header("content-type")) !== null || looksLikeText(body);
}

/** Unquotes a value and decodes its percent escapes once. @throws VALIDATION_FAILED */
function headerText(name: string, value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  const text = quoted === undefined ? value : quoted.replace(/\\(.)/g, "$1");
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, "%25"));
  } catch {
    throw invalid(name, "has escapes that are not UTF-8");
  }
}

const ATTRIBUTES = new Set(["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"]);

/** @param at of the event in its batch @throws VALIDATION_FAILED, UNSUPPORTED_MEDIA_TYPE */
function eventOf(given: JsonMembers, at: string): JsonMembers {
  const required = (name: string): string => {
    const value = given[name];
    if (typeof value === "string" && value !== "") return value;
    throw invalid(`${at}${name}`, "is required, as text that is not empty");
  };
  const version = required("specversion");
  if (version !== "1.0") throw unsupported(`CloudEvents ${version.slice(0, 20)} is not read; send specversion 1.0`);
  const [id, source, type] = [required("id"), required("source"), required("type")];
  if (given["data"] !== undefined && given["data_base64"] !== undefined)
    throw invalid(`${at}data`, "must not be sent together with data_base64");
  const extensions = Object.entries(given).filter(([name]) => !ATTRIBUTES.has(name) && !/^data(_base64)?$/.test(name));
  const { subject, time, datacontenttype, dataschema } = given;
  const { data } = given;
  const isMembers = typeof data === "object" && data !== null && !Array.isArray(data);
  const bytes = given["data_base64"] === undefined ? {} : { data_base64: given["data_base64"] };
  const content = data === undefined ? bytes : isMembers ? (data as JsonMembers) : { data };
  const cloudevent = {
    ...{ id, source, type, subject, time, datacontenttype, dataschema },
    ...Object.fromEntries(extensions),
  };
  const identity = `${source} ${id}`;
  return {
    type: type.slice(0, MAX_NAME),
    source: source.slice(0, MAX_NAME),
    level: levelOf(
      Object.fromEntries(extensions)["severity"] ?? (isMembers ? (data as JsonMembers)["severity"] : undefined),
    ),
    dedupeKey: identity.length <= MAX_KEY ? identity : `sha256:${sha256Hex(identity)}`,
    ...(typeof time === "string" && { occurredAt: time }),
    payload: { ...content, cloudevent },
  };
}

function levelOf(severity: unknown): string {
  return (typeof severity === "string" && SEVERITIES.get(severity.toLowerCase())?.level) || "info";
}

/** A text is the message of an event whose type is in the query. */
function textEvent(exchange: Exchange, body: Buffer): JsonMembers {
  const message = bodyText(body, exchange);
  const { type, level, source, dedupeKey } = parseQuery(exchange.queryText);
  const title = message.trimStart().split(/[\r\n]/, 1)[0] ?? "";
  return {
    type: type ?? "message",
    ...(level !== undefined && { level }),
    ...(source !== undefined && { source }),
    ...(dedupeKey !== undefined && { dedupeKey }),
    payload: { title: title.slice(0, 250).trimEnd(), message },
  };
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The event is not valid", {
    details: [{ path, code: "VALUE", message }],
  });
}

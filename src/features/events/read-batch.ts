import { PrismError } from "../../core/errors.ts";
import { jsonValueEnd, outlineJson } from "../../core/json-text.ts";
import { MAX_JSON_DEPTH, parseJsonText, tooDeep } from "../../http/input.ts";
import type { IncomingEvent } from "../rules/index.ts";
import type { BatchItem } from "./batch-ingest.ts";
import { itemError, requireFewMembers } from "./pipeline/event-input.ts";

/** Reading a batch gives the loop back this often: a large one must not keep everybody waiting. */
const TURN_MS = 4;
const CHECK_EVERY = 32;
const CHECK_EVERY_UNITS = 65_536;

export type ReadItem = (text: string) => IncomingEvent;

/** Splits and reads a batch. @param texts the items as they stand in the body, in order; empty ones are skipped. */
export async function readBatch(
  texts: Iterable<string>,
  maxItems: number,
  readItem: ReadItem,
  isNdjson: boolean,
): Promise<BatchItem[]> {
  const items: BatchItem[] = [];
  let turnEnd = performance.now() + TURN_MS;
  let steps = 0;
  let units = 0;
  for (const text of texts) {
    units += text.length;
    if (++steps % CHECK_EVERY === 0 || units > CHECK_EVERY_UNITS) {
      units = 0;
      if (performance.now() > turnEnd) {
        await new Promise((resolve) => setImmediate(resolve));
        turnEnd = performance.now() + TURN_MS;
      }
    }
    if (text === "") continue;
    if (items.length === maxItems)
      throw new PrismError("BATCH_TOO_LARGE", `More than ${maxItems} events in one request`);
    try {
      items.push(readItem(text));
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      // In an array what is not JSON spoils the body; in NDJSON it is one line's fault.
      if (error.code === "MALFORMED_JSON" && !isNdjson) throw inItem(items.length, error);
      items.push(itemError(error));
    }
  }
  if (items.length === 0) throw new PrismError("VALIDATION_FAILED", "The batch holds no event");
  return items;
}

/** The lines of NDJSON without the whitespace around them; blank ones are empty: a body of nothing else must not hold the loop either. */
export function* ndjsonLines(text: string): Iterable<string> {
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    yield text.slice(start, end).trim();
    start = end + 1;
  }
}

/** The elements of a JSON array, one by one, without parsing the whole. @throws MALFORMED_JSON where commas or brackets are amiss. */
export function* arrayElements(text: string): Iterable<string> {
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  if (text[at] === "]") return requireEnd(text, at + 1);
  for (;;) {
    const end = jsonValueEnd(text, at);
    if (end === at) throw malformed(at);
    yield text.slice(at, end);
    const next = skipSpace(text, end);
    if (text[next] === "]") return requireEnd(text, next + 1);
    if (text[next] !== ",") throw malformed(next);
    at = skipSpace(text, next + 1);
  }
}

/** An item's text as a value with its outline. @throws MALFORMED_JSON; VALIDATION_FAILED for more members than an event may have. */
export function parseItem(
  text: string,
  depthLimit = MAX_JSON_DEPTH,
): { value: unknown; outline: ReturnType<typeof outlineJson> } {
  const outline = outlineJson(text, depthLimit);
  if (outline.depth > depthLimit) throw tooDeep();
  requireFewMembers(outline);
  return { value: parseJsonText(text), outline };
}

function requireEnd(text: string, at: number): void {
  const end = skipSpace(text, at);
  if (end < text.length) throw malformed(end);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text[at] as string)) at++;
  return at;
}

/** Where in the array the body stops being JSON; a position counts from the beginning of the item. */
function inItem(index: number, { message, details }: PrismError): PrismError {
  const found = details ?? [{ message }];
  return new PrismError("MALFORMED_JSON", message, {
    details: found.map((detail) => ({ ...detail, path: String(index) })),
  });
}

function malformed(position: number): PrismError {
  return new PrismError("MALFORMED_JSON", "The body is not JSON", {
    details: [{ message: "stops being JSON here", position }],
  });
}

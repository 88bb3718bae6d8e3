import { decodeUtf8, outlineJson } from "../../core/json-text.ts";
import { MAX_JSON_DEPTH } from "../../http/input.ts";
import type { CloseReason } from "../close-codes.ts";

const MAX_MESSAGE_BYTES = 65_536;

/** The JSON object that a client sent in a text message, or why its socket is to be closed. */
export function readClientMessage(bytes: Buffer, isBinary: boolean): object | CloseReason {
  if (bytes.length > MAX_MESSAGE_BYTES) return "tooBig";
  const text = isBinary ? undefined : decodeUtf8(bytes);
  if (text === undefined || outlineJson(text, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH) return "malformed";
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : "malformed";
  } catch {
    return "malformed";
  }
}

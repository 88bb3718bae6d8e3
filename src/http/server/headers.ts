import { PrismError } from "../../core/errors.ts";

/**
 * Constant header lines per class of answers. uWebSockets writes a header's value unchanged, so one
 * call into the addon can carry a dozen lines (single calls cost 5 % of the throughput).
 */

const COMMON = [
  "X-Content-Type-Options: nosniff",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Resource-Policy: same-origin",
  "X-Frame-Options: DENY",
];

/** JSON answers (docs/security.md); headers for HTML are in {@link DOCUMENT_HEADERS}. */
export const API_HEADERS = [...COMMON, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'"].join(
  "\r\n",
);

/** Pages: own scripts and styles, nothing inline, nothing from other sites. */
export const DOCUMENT_HEADERS = [
  ...COMMON,
  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy: same-origin",
  "Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()",
].join("\r\n");

/** Files with signed links: usable on any page, without active content. */
export const MEDIA_HEADERS = [
  "X-Content-Type-Options: nosniff",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Resource-Policy: cross-origin",
  "X-Frame-Options: DENY",
  "Content-Security-Policy: sandbox",
].join("\r\n");

/** In answers of a copy of a node without a leader: who owns what was stored. Clients never see it. */
export const OWNER_HEADER = "prism-owner";

/** In requests that a node took without a leader: when it did, in epoch ms. */
export const TAKEN_AT_HEADER = "prism-taken-at";

export const JSON_TYPE = "application/json; charset=utf-8";

/** Removes characters that could end a header line, for values from outside. */
export function headerValue(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "");
}

/**
 * @returns the field's value; values of repeated fields are joined as in RFC 9110 section 5.3, so
 * that none is missed.
 */
export function headerOf(headers: readonly string[], name: string): string {
  let value: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    value = value === undefined ? (headers[i + 1] as string) : `${value}, ${headers[i + 1]}`;
  }
  return value ?? "";
}

const MAX_URL_BYTES = 8192;
const MAX_HEAD_BYTES = 16_384;
/** Colon, space and line end of a header field. */
const FIELD_EXTRA_BYTES = 4;

/** Flags in the result of {@link checkHead}. */
export const ENDS_CONNECTION = 1;
export const IS_CHUNKED = 2;

/** A head after which the next request's start is unknown: 400, and the connection closes. */
export class BadHead extends PrismError {
  override readonly name = "BadHead";
  constructor(message: string) {
    super("VALIDATION_FAILED", message);
  }
}

/**
 * Refuses heads that the library's parser accepts wrongly (docs/http.md): too large ones that
 * arrive in pieces, any Transfer-Encoding, and repeated fields for framing or the host. Two
 * interpretations of a request's end allow request smuggling past a proxy (RFC 9112 section 11.2).
 * @param urlLength length of path and query
 * @param headers alternating names (lower case) and values
 * @returns {@link ENDS_CONNECTION} and {@link IS_CHUNKED}, combined
 * @throws URI_TOO_LONG, HEADERS_TOO_LARGE, BadHead
 */
export function checkHead(urlLength: number, headers: readonly string[]): number {
  let bytes = urlLength;
  if (bytes > MAX_URL_BYTES) throw new PrismError("URI_TOO_LONG", "The URL is longer than 8 KiB");
  let found = 0;
  let hosts = 0;
  let framings = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    bytes += name.length + value.length + FIELD_EXTRA_BYTES;
    // Few names have the same length: most fields cost one comparison of numbers.
    switch (name.length) {
      case 4:
        if (name === "host") hosts++;
        break;
      case 10:
        if (name === "connection") found = value === "close" ? found | ENDS_CONNECTION : found & ~ENDS_CONNECTION;
        break;
      case 14:
        if (name !== "content-length") break;
        framings++;
        if (value === "") throw new BadHead("Content-Length is empty");
        break;
      case 17:
        if (name !== "transfer-encoding") break;
        framings++;
        found |= IS_CHUNKED;
        if (value.toLowerCase() !== "chunked") throw new BadHead("The only Transfer-Encoding is chunked");
    }
  }
  if (bytes > MAX_HEAD_BYTES) throw new PrismError("HEADERS_TOO_LARGE", "The header fields are larger than 16 KiB");
  if (framings > 1) throw new BadHead("Only one Content-Length or Transfer-Encoding may frame the body");
  if (hosts > 1) throw new BadHead("More than one Host");
  return found;
}

import { PrismError } from "../core/errors.ts";

const MAX_URL_BYTES = 8192;
const MAX_HEAD_BYTES = 16_384;
/** Colon, space and line end of a header field. */
const FIELD_EXTRA_BYTES = 4;

/** Flags in the result of {@link checkHead}. */
export const ENDS_CONNECTION = 1;
export const IS_CHUNKED = 2;

/** A head after which the next request's start is unknown: 400, and the connection closes. */
export class BadHead extends PrismError {
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

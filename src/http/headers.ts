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

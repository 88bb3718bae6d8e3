import { createHmac, hash } from "node:crypto";
import type { EpochMs } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { secretsEqual } from "../../core/tokens.ts";
import { parseQuery } from "../../http/input.ts";
import type { PusherApp } from "./pusher-app.ts";

/** The parts of a request that its signature is over. */
export interface SignedParts {
  readonly method: string;
  readonly path: string;
  readonly queryText: string;
}

/** A request's clock may be this far from ours, either way. */
const MAX_SKEW_MS = 600_000;

/**
 * The one check of who calls the REST API of the Pusher protocol: `auth_signature` must be the HMAC-SHA-256 of method, path and all other parameters,
 * decoded and sorted (contract 5.5; pusher.com/docs/channels/library_auth_reference/rest-api/#authentication). What the signature does not cover is
 * the body: that is `body_md5`'s, see {@link requireBody}. As at Pusher nothing notes what was signed before: whoever can read a request can send it again
 * for as long as its timestamp is good, so the API wants TLS.
 * @returns the parameters. @throws SIGNATURE_INVALID, and VALIDATION_FAILED when a parameter stands twice or is not percent-encoded UTF-8
 */
export function requireSignature(
  { key, secret }: PusherApp,
  { method, path, queryText }: SignedParts,
  now: EpochMs,
): Readonly<Record<string, string>> {
  const query = parseQuery(queryText);
  const names = Object.keys(query).filter((name) => name !== "auth_signature");
  const pairs = names.sort().map((name) => `${name}=${query[name]}`);
  // Decoded, one parameter with an ampersand in it would read like two, and be signed like them.
  if (pairs.some((pair) => pair.includes("&")) || names.some((name) => name.includes("=")))
    throw signatureRefused("A parameter has an ampersand in it, or a name with an equals sign");
  const text = [method === "HEAD" ? "GET" : method, path, pairs.join("&")].join("\n");
  const expected = createHmac("sha256", secret).update(text).digest("hex");
  if (!secretsEqual(query["auth_signature"] ?? "", expected))
    throw signatureRefused("auth_signature is not that of this method, path and query");
  if (query["auth_key"] !== key) throw signatureRefused("auth_key is not the key of this app");
  if (query["auth_version"] !== "1.0") throw signatureRefused("auth_version must be 1.0");
  const timestamp = query["auth_timestamp"] ?? "";
  const isNumber = /^\d{1,12}$/.test(timestamp);
  if (!isNumber || Math.abs(now - Number(timestamp) * 1000) > MAX_SKEW_MS)
    throw signatureRefused("auth_timestamp must be within 600 seconds of the server's clock, in seconds since 1970");
  return query;
}

/** The body must be the one that was signed. @throws SIGNATURE_INVALID */
export function requireBody(query: Readonly<Record<string, string>>, body: Buffer): void {
  if (!secretsEqual(query["body_md5"] ?? "", hash("md5", body, "hex")))
    throw signatureRefused("body_md5 is not the MD5 of the body, in hex");
}

function signatureRefused(message: string): PrismError {
  return new PrismError("SIGNATURE_INVALID", message);
}

import { createHash } from "node:crypto";
import { PrismError } from "../../core/errors.ts";

const STATE_LENGTH = 16;

/**
 * The entity tag of a version (RFC 9110 section 8.8.3).
 * @param state covers members that no version counts, see {@link stateOf}; empty for none.
 */
export function tagOf(version: number, state = ""): string {
  return state === "" ? `"${version}"` : `"${version}.${state}"`;
}

/** A short hash of a JSON value. */
export function stateOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64url").slice(0, STATE_LENGTH);
}

/** A weak tag for a text with several encodings, whose bytes differ. */
export function weakTagOf(text: Buffer): string {
  return `W/"${createHash("sha256").update(text).digest("base64url").slice(0, STATE_LENGTH)}"`;
}

/** Whether `If-None-Match` contains the tag, by the weak comparison of RFC 9110 section 13.1.2. */
export function isAmongTags(tag: string, field: string): boolean {
  return field !== "" && tagsOf(field).some((given) => given === "*" || given === tag || given === `W/${tag}`);
}

/**
 * Whether `If-Match` contains the version, by the strong comparison of RFC 9110 section 13.1.1.
 * Ignores the state in a tag: a client that changes a rule must know its last version, not the last
 * event it matched.
 */
function isVersionAmongTags(version: number, field: string): boolean {
  return tagsOf(field).some((given) => given === "*" || withoutState(given) === tagOf(version));
}

function withoutState(tag: string): string {
  return tag.replace(/\.[\w-]+"$/, '"');
}

function tagsOf(field: string): string[] {
  return field.split(",").map((part) => part.trim());
}

/** @throws VERSION_CONFLICT for an outdated copy; without `If-Match` the last write wins. */
export function requireVersion(ifMatch: string, version: number): void {
  if (ifMatch !== "" && !isVersionAmongTags(version, ifMatch)) {
    throw new PrismError("VERSION_CONFLICT", `The resource is at version ${version}`);
  }
}

/** A byte range, inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Parses a `Range` field (RFC 9110 section 14.2). @returns null for the whole body: no field,
 * another unit, several ranges, or an invalid one; "unsatisfiable" for a range after the end.
 */
export function parseRange(field: string, size: number): ByteRange | "unsatisfiable" | null {
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/.exec(field);
  if (!match) return null;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return null;
  if (from === "") {
    const suffix = Math.min(Number(to), size);
    return suffix === 0 ? "unsatisfiable" : { first: size - suffix, last: size - 1 };
  }
  const first = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < first) return null;
  return first >= size ? "unsatisfiable" : { first, last };
}

/** Whether `Accept-Encoding` accepts gzip, without `q=0` (RFC 9110 section 12.5.3). */
export function acceptsGzip(field: string): boolean {
  return field.split(",").some((part) => {
    const [coding = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    return coding === "gzip" && !parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter));
  });
}

import { createHash } from "node:crypto";

const STATE_LENGTH = 16;

/**
 * The entity tag of a version (RFC 9110 section 8.8.3).
 * @param state names what the answer shows besides and no version counts, see {@link stateOf}; empty for nothing.
 */
export function tagOf(version: number, state = ""): string {
  return state === "" ? `"${version}"` : `"${version}.${state}"`;
}

/** A short name of a JSON value: another value has another one. */
export function stateOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64url").slice(0, STATE_LENGTH);
}

/** Names a text that is sent in several encodings: a weak tag, for their bytes differ. */
export function weakTagOf(text: Buffer): string {
  return `W/"${createHash("sha256").update(text).digest("base64url").slice(0, STATE_LENGTH)}"`;
}

/** Whether `If-None-Match` names the tag, by the weak comparison of RFC 9110 section 13.1.2. */
export function isAmongTags(tag: string, field: string): boolean {
  return field !== "" && tagsOf(field).some((given) => given === "*" || given === tag || given === `W/${tag}`);
}

/**
 * Whether `If-Match` names the version, by the strong comparison of RFC 9110 section 13.1.1. The state in a tag does not count: who changes
 * a rule must have seen its last version, not the last event it matched.
 */
export function isVersionAmongTags(version: number, field: string): boolean {
  return tagsOf(field).some((given) => given === "*" || withoutState(given) === tagOf(version));
}

function withoutState(tag: string): string {
  return tag.replace(/\.[\w-]+"$/, '"');
}

function tagsOf(field: string): string[] {
  return field.split(",").map((part) => part.trim());
}

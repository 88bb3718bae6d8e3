import { randomInt } from "node:crypto";

const ID_LENGTH = 12;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

export function randomText(length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += ALPHABET[randomInt(ALPHABET.length)];
  return text;
}

/**
 * Ids that are made of an offset, for events (`E`) and notifications (`N`) shown as messages:
 * `since` finds their position without a table.
 */
const DERIVED = /^([EN])([0-9a-z]{11})$/;

/** A new id. It never looks like a derived one. */
export function newId(): string {
  const id = randomText(ID_LENGTH);
  return DERIVED.test(id) ? newId() : id;
}

export function derivedId(kind: "E" | "N", offset: number): string {
  return kind + offset.toString(36).padStart(ID_LENGTH - 1, "0");
}

/** @returns undefined for an id of a message. */
export function offsetOf(id: string): { readonly kind: "E" | "N"; readonly offset: number } | undefined {
  const [, kind, digits = ""] = DERIVED.exec(id) ?? [];
  const offset = Number.parseInt(digits, 36);
  return kind !== undefined && Number.isSafeInteger(offset) ? { kind: kind as "E" | "N", offset } : undefined;
}

import { CODE_ROWS } from "./code.ts";
import { HOME_ROWS } from "./home.ts";
import { HOST_ROWS } from "./hosts.ts";
import { MONITOR_ROWS } from "./monitors.ts";
import { type KnownRequest, readByRows } from "./row.ts";

/** In turn: what one row needs is no part of what another one reads. */
const ROWS = [...MONITOR_ROWS, ...HOST_ROWS, ...CODE_ROWS, ...HOME_ROWS];

/** @returns null if the body has the form of no known sender */
export function readKnown(body: unknown): KnownRequest | null {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return null;
  return readByRows(ROWS, body);
}

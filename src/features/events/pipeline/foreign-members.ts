import { parseRfc3339 } from "../../../core/clock.ts";
import type { Level } from "../../../core/levels.ts";

/** What a foreign member can fill. */
interface Fillable {
  level: Level;
  id: string | undefined;
  source: string | null;
  occurredAt: number | undefined;
  unknown: string[] | null;
}

/** What other systems call the five levels, in lower case. Numbers are left out: scales run in both directions. */
const LEVEL_SYNONYMS = new Map<string, Level>([
  ["trace", "debug"],
  ["debug", "debug"],
  ["verbose", "debug"],
  ["info", "info"],
  ["information", "info"],
  ["informational", "info"],
  ["notice", "info"],
  ["warn", "warn"],
  ["warning", "warn"],
  ["err", "error"],
  ["error", "error"],
  ["crit", "fatal"],
  ["critical", "fatal"],
  ["alert", "fatal"],
  ["emerg", "fatal"],
  ["emergency", "fatal"],
  ["fatal", "fatal"],
  ["panic", "fatal"],
]);

/** Smaller numbers are seconds since 1970, larger ones milliseconds: as milliseconds it is March 1973, as seconds the year 5138. */
const FIRST_MS = 100_000_000_000;
/** The last instant of a Date. */
const LAST_MS = 8_640_000_000_000_000;

/**
 * Reads a member of an event that another system uses in its own way, for `ingest.lenient`. What can be mapped fills the envelope; the member
 * itself goes into the payload as it was sent. @returns whether the event can be taken with it.
 */
export function takeForeign(envelope: Fillable, name: string, value: unknown): boolean {
  switch (name) {
    case "level":
      // No text of an object: its own toString would be called.
      envelope.level = (typeof value === "string" && LEVEL_SYNONYMS.get(value.trim().toLowerCase())) || "info";
      break;
    case "id":
      // Not a dedupe key: such an id often names the subject of many events.
      envelope.id = undefined;
      break;
    case "source":
      if (typeof value !== "number" && typeof value !== "boolean") return false;
      envelope.source = String(value);
      break;
    case "occurredAt":
      envelope.occurredAt = instantOf(value);
      if (typeof value !== "number" || envelope.occurredAt === undefined) return false;
      break;
    case "payload":
      // An empty payload, and nothing to keep of it.
      return value === null;
    default:
      return false;
  }
  envelope.unknown ??= [];
  envelope.unknown.push(name);
  return true;
}

/** The time of an event that names it `timestamp`. */
export function foreignTime(value: Record<string, unknown>, receivedAt: number, aheadMs: number): number | undefined {
  const at = instantOf(value["timestamp"]);
  return at === undefined || at > receivedAt + aheadMs ? undefined : at;
}

function instantOf(value: unknown): number | undefined {
  if (typeof value === "string") return parseRfc3339(value);
  if (typeof value !== "number" || value < 0) return undefined;
  const at = Math.round(value < FIRST_MS ? value * 1000 : value);
  return at <= LAST_MS ? at : undefined;
}

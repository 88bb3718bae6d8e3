import { PrismError } from "../../../core/errors.ts";

type Settings = Readonly<Record<string, unknown>>;

/** Of all settings of a project as they are stored, however many requests they came in. */
const MAX_BYTES = 16_384;

/**
 * A project's settings after a change: members that are not given stay, null removes one.
 * @returns JSON text. @throws VALIDATION_FAILED when they are more than 16 KiB together
 */
export function mergedSettings(stored: string, given: Settings = {}): string {
  const members = Object.entries({ ...(JSON.parse(stored) as Settings), ...given });
  const merged = JSON.stringify(Object.fromEntries(members.filter(([, value]) => value !== null)));
  if (Buffer.byteLength(merged) <= MAX_BYTES) return merged;
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: "settings", code: "VALUE", message: `must be at most ${MAX_BYTES} bytes together` }],
  });
}

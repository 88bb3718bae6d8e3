import type { ConfigValues } from "./options.ts";

/** What each push to Apple needs. */
const NEEDED = ["keyFile", "keyId", "teamId", "bundleId"] as const;

/** @returns a warning where some of the settings for APNs are there and others are not; nothing is sent to Apple then. */
export function apnsGaps(apns: ConfigValues["apns"]): string | undefined {
  const missing = NEEDED.filter((name) => apns[name] === undefined);
  if (missing.length === 0 || missing.length === NEEDED.length) return undefined;
  const keys = missing.map((name) => `apns.${name}`).join(", ");
  return `APNs is off: ${keys} ${missing.length === 1 ? "is" : "are"} not set`;
}

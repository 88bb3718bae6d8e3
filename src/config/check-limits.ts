import type { ConfigValues } from "./options.ts";

/** Limits that must fit together. @returns what is wrong. */
export function checkLimits({ ingest }: ConfigValues): string[] {
  const { highWaterBytes, maxBodyBytes } = ingest;
  // One request holds its body and the events read from it; below twice the body a legal request could never be taken.
  if (highWaterBytes >= 2 * maxBodyBytes) return [];
  return [
    `ingest.highWaterBytes is ${highWaterBytes}; it must be at least ${2 * maxBodyBytes}, twice ingest.maxBodyBytes (${maxBodyBytes}). Raise it, or lower ingest.maxBodyBytes`,
  ];
}

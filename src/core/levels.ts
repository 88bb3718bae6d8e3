/** How severe an event is, least first. */
export const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof LEVELS)[number];

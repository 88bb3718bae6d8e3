export type Range = "1h" | "24h" | "7d";

export const RANGES: Readonly<Record<Range, { readonly ms: number; readonly label: string; readonly text: string }>> = {
  "1h": { ms: 3_600_000, label: "1 h", text: "last hour" },
  "24h": { ms: 86_400_000, label: "24 h", text: "last 24 hours" },
  "7d": { ms: 604_800_000, label: "7 d", text: "last 7 days" },
};

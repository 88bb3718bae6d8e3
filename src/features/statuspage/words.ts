import type { ComponentState } from "../../store/schema.ts";
import type { NoticeState } from "./notice.ts";

// The words that visitors read.

export const COMPONENT_WORDS: Readonly<Record<ComponentState, string>> = {
  operational: "Operational",
  maintenance: "Maintenance",
  degraded: "Degraded",
  partial: "Partial outage",
  outage: "Outage",
};

export const OVERALL_WORDS: Readonly<Record<ComponentState, string>> = {
  operational: "All systems operational",
  maintenance: "Maintenance in progress",
  degraded: "Some systems are degraded",
  partial: "Partial outage",
  outage: "Outage",
};

export const NOTICE_WORDS: Readonly<Record<NoticeState, string>> = {
  investigating: "Investigating",
  identified: "Identified",
  monitoring: "Monitoring",
  resolved: "Resolved",
  scheduled: "Scheduled",
  in_progress: "In progress",
  completed: "Completed",
};

/** Share as visitors read it: never rounded up to 100 %. */
export function uptimeText(uptime: number | null): string {
  if (uptime === null) return "No data";
  return uptime === 1 ? "100 %" : `${(Math.floor(uptime * 100_000) / 1000).toFixed(2)} %`;
}

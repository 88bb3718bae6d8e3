import type { Alert } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { matchersOf, matcherText } from "../../app/matchers.ts";
import { invalidate } from "../../app/query.ts";
import { confirm, toast } from "../../ui/index.ts";

/** The state in a word, for a badge. */
export function stateOf({ state, timedOut, withheld }: Pick<Alert, "state" | "timedOut" | "withheld">) {
  if (state === "resolved" && timedOut) return { text: "no longer reported", tone: "plain" } as const;
  if (state === "resolved") return { text: "resolved", tone: "ok" } as const;
  if (state === "pending") return { text: "pending", tone: "warn" } as const;
  if (withheld === null) return { text: "firing", tone: "bad" } as const;
  return { text: quietWord(withheld), tone: "plain" } as const;
}

/** Why no one is notified of it, in a word. */
export function quietWord({ silencedBy, inhibitedBy }: NonNullable<Alert["withheld"]>): string {
  if (silencedBy.length > 0) return "silenced";
  return inhibitedBy.length > 0 ? "inhibited" : "muted";
}

/** Title of an alert: its summary, or its name. */
export function nameOf({ labels, annotations, key }: Pick<Alert, "labels" | "annotations" | "key">): string {
  return annotations["summary"] || labels["alertname"] || key;
}

/** Such as `cluster=main`. */
export function labelText({ labels }: Pick<Alert, "labels">, name: string): string {
  return `${name}=${labels[name]}`;
}

/** Labels that are not the same in all of some alerts. Those that tell alerts of one name apart come first. */
export function differingLabels(alerts: readonly Alert[]): readonly string[] {
  const names = [...new Set(alerts.flatMap(({ labels }) => Object.keys(labels)))];
  const differIn = (some: readonly Alert[]) =>
    names.filter((name) => new Set(some.map(({ labels }) => labels[name])).size > 1);
  const byName = new Map<string, Alert[]>();
  for (const alert of alerts) byName.set(nameOf(alert), [...(byName.get(nameOf(alert)) ?? []), alert]);
  return [...new Set([...[...byName.values()].flatMap(differIn), ...differIn(alerts)])];
}

export const SOURCES: Readonly<Record<string, string>> = {
  alertmanager: "Alertmanager API",
  rule: "Rule",
  heartbeat: "Heartbeat",
  pagerduty: "PagerDuty events",
  opsgenie: "Opsgenie API",
  receiver: "Receiver",
  api: "Native API",
  prism: "Prism",
};

const ENDED_BY_SOURCE: ReadonlySet<string> = new Set(["alertmanager", "heartbeat"]);

/** Alerts of the other sources would fire again with their next repetition. */
export function isResolvable({ state, source }: Alert): boolean {
  return state !== "resolved" && !ENDED_BY_SOURCE.has(source);
}

export async function resolveAlert(alert: Alert): Promise<void> {
  const text = `“${nameOf(alert)}” is resolved, although its source has not reported it. Its incident is resolved when none of its alerts is firing.`;
  if (!(await confirm({ title: "Resolve this alert?", text, action: "Resolve" }))) return;
  await api.post(`/alerts/${alert.id}/resolve`);
  toast.ok("The alert is resolved.");
  invalidate("/alerts", "/incidents", "/attention");
}

/** Path of a new silence with the alert's labels. */
export function silencePath({ labels }: Alert, project: string): string {
  const query = new URLSearchParams({ project, labels: matchersOf(labels).map(matcherText).join(",") });
  return `/silences/new?${query}`;
}

import type { PolicyVersion as ApiPolicyVersion, Policy, UpdatePolicy } from "../../../src/client/api-types.gen.ts";
import { initialOf, wordingOf } from "../../forms/described.ts";
import { policy } from "../../forms/policy.gen.ts";
import { formatDuration, plural } from "../../ui/index.ts";

export interface ScheduleTarget {
  readonly id: string;
  readonly who?: "current" | "next" | "both";
}

export type DraftStep = Policy["steps"][number];

export type StepType = DraftStep["type"];

/** What a person changes. */
export type PolicyDefinition = Pick<Policy, keyof UpdatePolicy>;

export interface PolicyVersion extends ApiPolicyVersion {
  readonly definition: PolicyDefinition;
}

/** Names by id, as far as they are known. */
export interface Names {
  readonly users: ReadonlyMap<string, string>;
  readonly schedules: ReadonlyMap<string, string>;
  readonly roles: ReadonlyMap<string, string>;
  readonly channels: ReadonlyMap<string, string>;
}

export const STEP_WORDS: Readonly<Record<StepType, { readonly label: string; readonly hint: string }>> = {
  notify: { label: "Notify", hint: "people, roles, on-call schedules" },
  wait: { label: "Wait", hint: "before the next step" },
  onlyIn: { label: "Only in a time interval", hint: "limits the next step" },
  ifCount: { label: "Once enough alerts joined", hint: "waits for a number of alerts" },
  webhook: { label: "Call a webhook", hint: "posts the incident" },
  channel: { label: "Send to a channel", hint: "of a chat or paging service" },
  resolve: { label: "Resolve", hint: "ends the incident" },
};

export const NEW_STEPS: Readonly<Record<StepType, DraftStep>> = {
  notify: { type: "notify", members: true, urgency: "high" },
  wait: { type: "wait", ms: 300_000 },
  onlyIn: { type: "onlyIn", interval: "", otherwise: "skip" },
  ifCount: { type: "ifCount", alerts: 5, windowMs: 600_000 },
  webhook: { type: "webhook", url: "", format: "prism" },
  channel: { type: "channel", id: "" },
  resolve: { type: "resolve" },
};

export const EMPTY = {
  ...initialOf(policy.members),
  name: "",
  description: "",
  steps: [NEW_STEPS.notify],
} as unknown as PolicyDefinition;

/** Where the name of the member is not the word for it. */
const WORDS: Readonly<Partial<Record<keyof PolicyDefinition, string>>> = {
  repeat: "Further rounds",
  ackQuorum: "Acknowledgements needed",
  ackExpiresMs: "Acknowledgements expire",
  autoResolveMs: "Resolves by itself",
};
const { projectId: _, ...OWN } = policy.members;
export const LABELS = Object.fromEntries(
  Object.entries(OWN).map(([name, member]) => [
    name,
    wordingOf(name, member, WORDS[name as keyof PolicyDefinition]).label,
  ]),
) as Readonly<Record<keyof PolicyDefinition, string>>;
export const MEMBERS = Object.keys(LABELS) as readonly (keyof PolicyDefinition)[];

export function definitionOf(given: PolicyDefinition): PolicyDefinition {
  return Object.fromEntries(MEMBERS.map((member) => [member, given[member]])) as unknown as PolicyDefinition;
}

export function changedMembers(before: PolicyDefinition, after: PolicyDefinition): readonly (keyof PolicyDefinition)[] {
  return MEMBERS.filter((member) => JSON.stringify(before[member]) !== JSON.stringify(after[member]));
}

/** Who a step notifies, in words. */
export function targetsText(step: Extract<DraftStep, { type: "notify" }>, names: Names): string {
  const { users = [], roles = [], schedules = [], members = false } = step;
  const all = [
    ...(members ? ["all members"] : []),
    ...schedules.map(({ id, who = "current" }) => {
      const name = names.schedules.get(id) ?? "a schedule";
      return { current: `on call: ${name}`, next: `next on call: ${name}`, both: `on call and next: ${name}` }[who];
    }),
    ...users.map((id) => names.users.get(id) ?? "…"),
    ...roles.map((role) => `role ${names.roles.get(role) ?? role}`),
  ];
  return all.length === 0 ? "no one" : all.join(", ");
}

export function stepText(step: DraftStep, names: Names): string {
  switch (step.type) {
    case "notify": {
      const low = step.urgency === "low" ? ", low urgency" : "";
      return `notify ${targetsText(step, names)}${step.roundRobin ? ", one after the other" : ""}${low}`;
    }
    case "wait":
      return `wait ${formatDuration(step.ms)}`;
    case "onlyIn":
      return `only in ${step.interval || "…"}, otherwise ${step.otherwise === "hold" ? "wait for it" : "skip the next step"}`;
    case "ifCount":
      return `once ${plural(step.alerts, "alert")} joined within ${formatDuration(step.windowMs)}`;
    case "webhook": {
      const most = step.maxAlerts ? `, with at most ${plural(step.maxAlerts, "alert")}` : "";
      return `call ${step.url || "…"}${step.format === "alertmanager" ? " as Alertmanager does" : ""}${most}`;
    }
    case "channel":
      return `send to ${names.channels.get(step.id) ?? "a channel"}`;
    case "resolve":
      return "resolve the incident";
  }
}

/** The value of a member for the list of differences. */
export function memberText(definition: PolicyDefinition, member: keyof PolicyDefinition, names: Names): string {
  const value = definition[member];
  if (member === "steps") return definition.steps.map((step, at) => `${at + 1}. ${stepText(step, names)}`).join("\n");
  if (member === "ackExpiresMs" || member === "autoResolveMs")
    return value === null ? "never" : `after ${formatDuration(value as number)}`;
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** Why a policy cannot be saved. */
export function problemOf({ name, steps, opensIncidents }: PolicyDefinition): string | undefined {
  if (name.trim() === "") return "The policy needs a name";
  for (const [at, step] of steps.entries()) {
    const where = `Step ${at + 1}`;
    if (step.type === "onlyIn" && step.interval === "") return `${where} needs a time interval of the routes`;
    if (step.type === "webhook" && !/^https?:\/\/./.test(step.url)) return `${where} needs an http address`;
    if (step.type === "channel" && step.id === "") return `${where} needs a channel of the project`;
    if (step.type === "notify" && targetsText(step, NO_NAMES) === "no one") return `${where} notifies no one`;
    if (step.type === "wait" && !(step.ms >= 0)) return `${where} needs a time`;
  }
  return steps.length === 0 && opensIncidents ? "Without a step no one is notified" : undefined;
}

export const NO_NAMES: Names = { users: new Map(), schedules: new Map(), roles: new Map(), channels: new Map() };

/** An input for moving an item of a list. */
export function moved<T>(items: readonly T[], from: number, to: number): readonly T[] {
  const item = items[from];
  if (item === undefined || to < 0 || to >= items.length) return items;
  const rest = items.filter((_, at) => at !== from);
  return [...rest.slice(0, to), item, ...rest.slice(to)];
}

import * as v from "valibot";
import { doc, integer, namesOf, object, refersTo, text, uuid } from "../../../http/api/shapes.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";

/* Settings of an incident from the first notification on; docs/alerts.md describes each step. */

const WEEK_MS = 604_800_000;
const YEAR_MS = 31_536_000_000;
const MAX_STEPS = 50;
const MAX_TARGETS = 100;

export const users = v.pipe(v.array(refersTo("people", text(128, 1))), v.maxLength(MAX_TARGETS));
const schedule = object({
  id: doc(refersTo("oncall", uuid), "Id of the on-call schedule"),
  who: v.optional(doc(v.picklist(["current", "next", "both"]), "Who of it; default `current`")),
});

export const schedules = v.pipe(v.array(schedule), v.maxLength(MAX_TARGETS));

const NotifyStep = object({
  type: doc(v.literal("notify"), "Notifies users"),
  users: v.optional(doc(users, "Ids, external ids or usernames; answers have ids")),
  roles: v.optional(doc(v.pipe(v.array(namesOf("roles", text(64, 1))), v.maxLength(MAX_TARGETS)), "Names of roles")),
  schedules: v.optional(doc(schedules, "On-call schedules")),
  members: v.optional(doc(v.boolean(), "The members of the project")),
  urgency: v.optional(
    doc(
      v.picklist(["high", "low"]),
      "Selects the contact rules of each user; `high`, the default, ignores quiet hours",
    ),
  ),
  roundRobin: v.optional(doc(v.boolean(), "Notifies one user, another with each incident")),
});
const WaitStep = object({
  type: doc(v.literal("wait"), "Waits before the next step"),
  ms: doc(integer(0, WEEK_MS), "Time until the next step"),
});
const OnlyInStep = object({
  type: doc(v.literal("onlyIn"), "Limits the next step to a time interval"),
  interval: doc(text(128, 1), "Name of a time interval of the project's routes"),
  otherwise: v.optional(
    doc(
      v.picklist(["skip", "hold"]),
      "Outside of the interval: `skip` passes over the next step, `hold` waits until it opens; default `skip`",
    ),
  ),
});
const IfCountStep = object({
  type: doc(v.literal("ifCount"), "Waits for a number of alerts"),
  alerts: doc(integer(1, 100_000), "The steps continue once this many alerts have joined within the window"),
  windowMs: doc(integer(1000, WEEK_MS), "Length of the window"),
});
const WebhookStep = object({
  type: doc(v.literal("webhook"), "Calls a webhook"),
  url: doc(text(2048, 1), "http or https address; shown as its origin to callers without `policies:write`"),
  format: v.optional(
    doc(
      v.picklist(["prism", "alertmanager"]),
      "`alertmanager`: the body of Alertmanager's webhooks, version 4; default `prism`",
    ),
  ),
  maxAlerts: v.optional(
    doc(integer(0, 1_000_000), "Alerts in one body, firing ones first; default 0: all, as in Alertmanager"),
  ),
  sendResolved: v.optional(
    doc(v.boolean(), "False: this webhook gets no ends, whatever the policy's `sendResolved` says; default true"),
  ),
  channel: v.optional(
    doc(
      refersTo("channels", uuid),
      "Id of a channel of the project with the preset `http`, at the same scheme, host and port: the call has its " +
        "credentials, headers and TLS settings",
    ),
  ),
});
const ChannelStep = object({
  type: doc(v.literal("channel"), "Sends to a channel of the project, such as a room of a chat service"),
  id: doc(refersTo("channels", uuid), "Id of the channel; its message changes with the incident"),
});
const ResolveStep = object({ type: doc(v.literal("resolve"), "Resolves the incident") });

export const Step = v.variant("type", [
  NotifyStep,
  WaitStep,
  OnlyInStep,
  IfCountStep,
  WebhookStep,
  ChannelStep,
  ResolveStep,
]);

export type StepInput = v.InferOutput<typeof Step>;

export interface ScheduleTarget {
  readonly id: string;
  readonly who: "current" | "next" | "both";
}

/** A step as stored: users and roles are ids. */
export type PolicyStep =
  | {
      readonly type: "notify";
      readonly users: readonly string[];
      readonly roles: readonly string[];
      readonly schedules: readonly ScheduleTarget[];
      readonly members: boolean;
      readonly urgency: Urgency;
      readonly roundRobin: boolean;
    }
  | { readonly type: "wait"; readonly ms: number }
  | { readonly type: "onlyIn"; readonly interval: string; readonly otherwise: "skip" | "hold" }
  | { readonly type: "ifCount"; readonly alerts: number; readonly windowMs: number }
  | {
      readonly type: "webhook";
      readonly url: string;
      readonly format: "prism" | "alertmanager";
      /** 0 or absent: all. */
      readonly maxAlerts?: number | undefined;
      /** False: it gets no ends. */
      readonly sendResolved?: boolean | undefined;
      /** Id of the channel whose credentials the call has. */
      readonly channel?: string | undefined;
    }
  | { readonly type: "channel"; readonly id: string }
  | { readonly type: "resolve" };

/** The step with the defaults of what is left out. */
export function completeStep(step: StepInput): PolicyStep {
  switch (step.type) {
    case "notify": {
      const {
        users: ids = [],
        roles = [],
        schedules = [],
        members = false,
        urgency = "high",
        roundRobin = false,
      } = step;
      const targets = schedules.map(({ id, who = "current" }) => ({ id, who }));
      return { type: step.type, users: ids, roles, schedules: targets, members, urgency, roundRobin };
    }
    case "onlyIn":
      return { ...step, otherwise: step.otherwise ?? "skip" };
    case "webhook":
      return { ...step, format: step.format ?? "prism" };
    default:
      return step;
  }
}

export const definitionEntries = {
  description: v.optional(doc(text(1000), "Free text")),
  steps: v.optional(doc(v.pipe(v.array(Step), v.maxLength(MAX_STEPS)), "Executed in this order")),
  repeat: v.optional(doc(integer(0, 9), "Further rounds of all steps while the incident is open; default 0")),
  sendResolved: v.optional(doc(v.boolean(), "Whether the notified users are also notified of the end; default true")),
  ackQuorum: v.optional(doc(integer(1, 100), "Acknowledgements by different users that stop the steps; default 1")),
  ackExpiresMs: v.optional(
    doc(v.nullable(integer(60_000, YEAR_MS)), "An acknowledgement expires after this time; default null: never"),
  ),
  autoResolveMs: v.optional(
    doc(
      v.nullable(integer(60_000, YEAR_MS)),
      "The incident resolves this long after its last alert; default null: never",
    ),
  ),
  renotifyOnNew: v.optional(doc(v.boolean(), "Whether alerts that join later are notified; default true")),
  fallback: v.optional(
    doc(
      v.nullable(namesOf("policies", text(128, 1))),
      "Name of the policy whose first steps run while an incident reaches no one; default null: `default`, " +
        "then the project's owners, then administrators",
    ),
  ),
  opensIncidents: v.optional(
    doc(v.boolean(), "Whether alerts open incidents; default true. With false they are listed, and no one is notified"),
  ),
};

/** The versioned content of a policy. */
export interface PolicyDefinition {
  readonly name: string;
  readonly description: string;
  readonly steps: readonly PolicyStep[];
  readonly repeat: number;
  readonly sendResolved: boolean;
  readonly ackQuorum: number;
  readonly ackExpiresMs: number | null;
  readonly autoResolveMs: number | null;
  readonly renotifyOnNew: boolean;
  /** Name of the policy that follows while no one is reached. */
  readonly fallback: string | null;
  readonly opensIncidents: boolean;
}

/** The settings of a route that an incident keeps. */
export interface GroupTimes {
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatMs: number;
}

/** The members of policy and route that the state machine reads. */
export type StepSettings = Omit<PolicyDefinition, "name" | "description"> & GroupTimes;

export const DEFAULT_POLICY = "default";

export const UNSET = {
  description: "",
  steps: [],
  repeat: 0,
  sendResolved: true,
  ackQuorum: 1,
  ackExpiresMs: null,
  autoResolveMs: null,
  renotifyOnNew: true,
  fallback: null,
  opensIncidents: true,
} as const satisfies Omit<PolicyDefinition, "name">;

/** A definition as it is stored: those of earlier versions lack members. */
export function storedDefinition(text: string): PolicyDefinition {
  return { ...UNSET, ...(JSON.parse(text) as PolicyDefinition) };
}

/** The policy of projects that have not changed theirs: notify all members at once. */
export const BUILT_IN_POLICY: PolicyDefinition = {
  ...UNSET,
  name: DEFAULT_POLICY,
  description: "Notifies the members of the project",
  steps: [{ type: "notify", users: [], roles: [], schedules: [], members: true, urgency: "high", roundRobin: false }],
};

/** The path and query of a webhook's URL may be secrets. */
export function maskedStep(step: PolicyStep): PolicyStep {
  return step.type === "webhook" ? { ...step, url: `${new URL(step.url).origin}/…` } : step;
}

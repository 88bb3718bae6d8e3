import { MINUTE_MS } from "../../../core/time/clock.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { type EscalationStep, type TakenSchedule, type TeamProject, targetIn } from "../team-files.ts";
import type { OldStep } from "./read.ts";

/* Escalation chains as policies. */

/** Rounds after the first: OnCall ends after five. */
const REPEATS = 5;
const DEFAULT_WAIT_S = 300;

export interface ChainContext {
  readonly project: TeamProject;
  /** The person of an id, who becomes a member of the project. */
  person(id: string): string | undefined;
  /** Everyone in a team. */
  team(id: string): readonly string[];
  schedule(id: string): TakenSchedule | undefined;
  /** The name of a channel of the project that calls a webhook; undefined: it cannot. */
  channel(webhook: string): string | undefined;
  /** Name of a time interval of the project's routes. */
  interval(from: string, to: string): string;
}

export interface WrittenChain {
  /** Of a policy. */
  readonly document: object;
  /** In order, up to the first whose time or person depends on more than the time of the alert. */
  readonly steps: readonly EscalationStep[];
}

/** @param lost is told of what is not taken */
export function writeChain(
  steps: readonly OldStep[],
  context: ChainContext,
  lost: (text: string) => void,
): WrittenChain {
  const made: { readonly type: string }[] = [];
  const known: EscalationStep[] = [];
  let repeat = 0;
  // Null: it depends on more than the alert.
  let atMs: number | null = 0;
  const notify = (step: OldStep, users: readonly string[], rest: Partial<EscalationStep> = {}) => {
    const urgency = step.important === true ? "high" : "low";
    const { schedules = [], roundRobin = false } = rest;
    made.push({
      ...{ type: "notify", ...(users.length > 0 && { users }) },
      ...(schedules.length > 0 && { schedules: schedules.map((each) => targetIn(context.project, each)) }),
      ...(roundRobin && { roundRobin }),
      ...(urgency === "low" && { urgency }),
    });
    if (atMs !== null) known.push({ atMs, users, schedules, roundRobin, urgency });
  };
  const notifyAll = (step: OldStep, users: readonly string[], rest: Partial<EscalationStep> = {}) => {
    if (users.length > 0) notify(step, users, rest);
    else lost(`The step ${step.type ?? ""} has no one whom OnCall lists`);
  };
  const people = (ids: readonly string[] | null) => [...new Set((ids ?? []).flatMap((id) => context.person(id) ?? []))];
  const take: Readonly<Record<string, (step: OldStep) => void>> = {
    wait: ({ duration }) => {
      const ms = (duration ?? DEFAULT_WAIT_S) * 1000;
      made.push({ ...{ type: "wait", for: durationText(ms) } });
      if (atMs !== null) atMs += ms;
    },
    notify_persons: (step) => notifyAll(step, people(step.persons_to_notify)),
    notify_person_next_each_time: (step) =>
      notifyAll(step, people(step.persons_to_notify_next_each_time).sort(), { roundRobin: true }),
    notify_team_members: (step) =>
      notifyAll(step, step.team_to_notify === null ? [] : context.team(step.team_to_notify)),
    notify_on_call_from_schedule: (step) => {
      const schedule = context.schedule(step.notify_on_call_from_schedule ?? "");
      if (schedule) notify(step, [], { schedules: [{ schedule }] });
      else lost("A step that notifies a schedule has none that is imported");
    },
    notify_if_time_from_to: ({ notify_if_time_from, notify_if_time_to }) => {
      const [from, to] = [notify_if_time_from, notify_if_time_to].map((time) => (time ?? "").slice(0, 5));
      if (!from || !to || from === to) return;
      made.push({ ...{ type: "onlyIn", interval: context.interval(from, to), otherwise: "hold" } });
      atMs = null;
    },
    notify_if_num_alerts_in_window: ({ num_alerts_in_window: alerts, num_minutes_in_window: minutes }) => {
      if (alerts === null || minutes === null) return;
      // It goes on above the number.
      made.push({ ...{ type: "ifCount", alerts: alerts + 1, window: durationText(minutes * MINUTE_MS) } });
      atMs = null;
    },
    repeat_escalation: () => {
      repeat = REPEATS;
    },
    resolve: () => {
      made.push({ type: "resolve" });
      atMs = null;
    },
    trigger_webhook: ({ action_to_trigger }) => {
      const name = context.channel(action_to_trigger ?? "");
      if (name === undefined)
        lost("A step that calls a webhook: its address is a template, it is off or of another team");
      else made.push({ ...{ type: "channel", name } });
    },
  };
  for (const step of [...steps].sort((a, b) => a.position - b.position)) {
    const one = take[step.type ?? ""];
    if (repeat > 0) lost(`The step ${step.type} after the repetition: it would run after the last round`);
    else if (one) one(step);
    else lost(`The step ${step.type ?? "without a type"}: add a step for a channel of the project in its place`);
  }
  // A condition before nothing has nothing to hold.
  while (made.at(-1)?.type === "onlyIn") made.pop();
  return { document: { steps: made, ...(repeat > 0 && { repeat }) }, steps: known };
}

import { DAY_MS, type EpochMs, MINUTE_MS } from "../../../core/time/clock.ts";
import { durationText } from "../../../http/api/file-form.ts";
import type { ImportedFiles } from "../files.ts";
import type { OldChain, OldStep, OldWebhook } from "./read.ts";
import type { OldOnCall } from "./schedules.ts";

/* Escalation chains as policies, and whom they page when. */

/** Rounds after the first: OnCall ends after five. */
const REPEATS = 5;
const DEFAULT_WAIT_S = 300;

export interface ChainContext {
  /** The person of an id, who becomes a member of the project. */
  person(id: string): string | undefined;
  /** Everyone in a team. */
  team(id: string): readonly string[];
  schedule(id: string): { readonly target: object; readonly at: OldOnCall } | undefined;
  webhook(id: string): OldWebhook | undefined;
  /** The name of a channel of the project that calls it; undefined: it cannot. */
  channel(webhook: OldWebhook): string | undefined;
  /** Name of a time interval of the project's routes. */
  interval(from: string, to: string): string;
}

interface Page {
  readonly afterMs: number;
  readonly urgency: "high" | "low";
  /** Who is paged by an alert of this time; null: nothing says whom. */
  readonly to: (at: EpochMs) => readonly string[] | null;
}

export interface WrittenChain {
  readonly name: string;
  readonly document: object;
  /** In order, up to the first whose time or person depends on more than the time of the alert. */
  readonly pages: readonly Page[];
}

export function writeChain(
  files: ImportedFiles,
  { name }: Pick<OldChain, "name">,
  steps: readonly OldStep[],
  context: ChainContext,
): WrittenChain {
  const lost = (text: string) => files.note("escalation chain", name, "not taken", text);
  const made: object[] = [];
  const pages: Page[] = [];
  let repeat = 0;
  let afterMs: number | null = 0;
  const notify = (step: OldStep, target: object, to: Page["to"] | null) => {
    const urgency = step.important === true ? "high" : "low";
    made.push({ type: "notify", ...target, ...(urgency === "low" && { urgency }) });
    if (to === null) afterMs = null;
    else if (afterMs !== null) pages.push({ afterMs, urgency, to });
  };
  const people = (ids: readonly string[] | null) => [...new Set((ids ?? []).flatMap((id) => context.person(id) ?? []))];
  for (const step of [...steps].sort((a, b) => a.position - b.position)) {
    if (repeat > 0) {
      lost(`The step ${step.type} after the repetition: it would run after the last round`);
      continue;
    }
    switch (step.type) {
      case "wait": {
        const ms = (step.duration ?? DEFAULT_WAIT_S) * 1000;
        made.push({ type: "wait", for: durationText(ms) });
        if (afterMs !== null) afterMs += ms;
        break;
      }
      case "notify_persons": {
        const users = people(step.persons_to_notify);
        if (users.length === 0) lost("A step that notifies persons has none");
        else notify(step, { users }, () => users);
        break;
      }
      case "notify_person_next_each_time": {
        const users = people(step.persons_to_notify_next_each_time).sort();
        if (users.length === 0) lost("A step that notifies the next person has none");
        else notify(step, { users, roundRobin: true }, null);
        break;
      }
      case "notify_team_members": {
        const users = step.team_to_notify === null ? [] : context.team(step.team_to_notify);
        if (users.length === 0) lost("A step that notifies a team has no one");
        else notify(step, { users }, () => users);
        break;
      }
      case "notify_on_call_from_schedule": {
        const found = step.notify_on_call_from_schedule && context.schedule(step.notify_on_call_from_schedule);
        if (!found) lost("A step that notifies a schedule has none that is imported");
        else {
          const after = afterMs ?? 0;
          notify(step, { schedules: [found.target] }, (at) => found.at(at + after));
        }
        break;
      }
      case "notify_if_time_from_to": {
        const [from, to] = [step.notify_if_time_from ?? "", step.notify_if_time_to ?? ""].map((time) =>
          time.slice(0, 5),
        );
        if (!from || !to || from === to) break;
        made.push({ type: "onlyIn", interval: context.interval(from, to), otherwise: "hold" });
        afterMs = null;
        break;
      }
      case "notify_if_num_alerts_in_window": {
        const { num_alerts_in_window: alerts, num_minutes_in_window: minutes } = step;
        if (alerts === null || minutes === null) break;
        // It goes on above the number.
        made.push({ type: "ifCount", alerts: alerts + 1, window: durationText(minutes * MINUTE_MS) });
        afterMs = null;
        break;
      }
      case "repeat_escalation":
        repeat = REPEATS;
        break;
      case "resolve":
        made.push({ type: "resolve" });
        afterMs = null;
        break;
      case "trigger_webhook": {
        const webhook = step.action_to_trigger === null ? undefined : context.webhook(step.action_to_trigger);
        const channel = webhook && context.channel(webhook);
        if (channel === undefined) lost(`A step that calls the webhook ${webhook?.name ?? "of another team"}`);
        else made.push({ type: "channel", name: channel });
        break;
      }
      default:
        lost(`The step ${step.type ?? "without a type"}: add a step for a channel of the project in its place`);
    }
  }
  // A condition before nothing has nothing to hold.
  while ((made.at(-1) as { type?: string } | undefined)?.type === "onlyIn") made.pop();
  return { name, document: { name, steps: made, ...(repeat > 0 && { repeat }) }, pages };
}

interface ExpectedPage {
  readonly after: string;
  readonly to: readonly string[];
  readonly urgency: string;
}

/** The pages of an alert at this time up to `to`; null: OnCall would page nobody at some step, or it is not known. */
export function pagesAt({ pages }: WrittenChain, at: EpochMs, to: EpochMs): ExpectedPage[] | null {
  const found = new Map<number, Map<string, Set<string>>>();
  for (const page of pages) {
    if (at + page.afterMs >= to) break;
    const people = page.to(at);
    if (people === null || people.length === 0) return null;
    const ofTime = found.get(page.afterMs) ?? new Map<string, Set<string>>();
    found.set(page.afterMs, ofTime);
    ofTime.set(page.urgency, new Set([...(ofTime.get(page.urgency) ?? []), ...people]));
  }
  return [...found].flatMap(([afterMs, ofTime]) =>
    [...ofTime].map(([urgency, people]) => ({ after: durationText(afterMs), to: [...people].sort(), urgency })),
  );
}

/** An alert in office hours, one at night, and one in the week of a change of the clocks. */
export function testTimes(zone: string, now: EpochMs, change: EpochMs | undefined, localHour: (at: EpochMs) => number) {
  const next = (from: EpochMs, hour: number, isWorkday: boolean): EpochMs => {
    let at = from - (from % (60 * MINUTE_MS)) + 60 * MINUTE_MS;
    while (localHour(at) !== hour || (isWorkday && [0, 6].includes(new Date(at).getUTCDay()))) at += 60 * MINUTE_MS;
    return at;
  };
  const office = next(now, 11, true);
  return [
    { name: "in office hours", at: office },
    { name: "at night", at: next(office, 3, false) },
    ...(change === undefined
      ? [{ name: "four weeks later", at: next(office + 28 * DAY_MS, 19, false) }]
      : [{ name: `after the change of the clocks in ${zone}`, at: next(change + 2 * DAY_MS, 8, false) }]),
  ];
}

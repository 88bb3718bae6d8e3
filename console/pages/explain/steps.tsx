import type { Explanation } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { canInProject } from "../../app/memberships.ts";
import { Badge, Condition, Link, plural, Time, type TimelineItem, UserText } from "../../ui/index.ts";
import { resultOf, valuesOf } from "./condition-values.ts";
import { Offset } from "./offset.tsx";
import { OtherChannels, Recipients } from "./recipients.tsx";
import type { ExplainedEvent, ExplainedIncident, ExplainedNotification, ExplainedRule } from "./types.ts";
import { OUTCOMES, plainText, ruleReason } from "./words.ts";

export interface StoryOptions {
  readonly explanation: Explanation;
  /** Name of the event's project; null if unknown. */
  readonly project: string | null;
  /** Asks the same about a user. */
  readonly onAsk: ((userId: string) => void) | undefined;
  /** Also the rules that did not match. */
  readonly isComplete: boolean;
}

const UNMATCHED: ReadonlySet<string> = new Set(["condition false", "inactive", "later"]);
/** Rules that did not match are folded when there are more; the second limit: and none matched. */
const UNMATCHED_SHOWN = { besideOthers: 3, alone: 8 };

/** Rules that the story omits until the user requests them. */
export function foldedRules({ rules }: Explanation): number {
  const unmatched = rules.filter(({ outcome }) => UNMATCHED.has(outcome)).length;
  const { alone, besideOthers } = UNMATCHED_SHOWN;
  return unmatched > (unmatched === rules.length ? alone : besideOthers) ? unmatched : 0;
}

/** The story: the event, its rules, their notifications with the people reached. */
export function storySteps(options: StoryOptions): readonly TimelineItem[] {
  const { explanation, project, isComplete } = options;
  const { event, rules, notifications, incident } = explanation;
  const from = Date.parse(event?.receivedAt ?? notifications[0]?.createdAt ?? "");
  const isFolded = foldedRules(explanation) > 0 && !isComplete;
  const shown = isFolded ? rules.filter(({ outcome }) => !UNMATCHED.has(outcome)) : rules;
  const placed = new Set<string>();
  const ofRules = shown.flatMap((rule) => {
    const notification = notifications.find(({ id }) => id === rule.notificationId);
    const step = ruleStep(rule, from);
    if (!notification || placed.has(notification.id)) return [step];
    placed.add(notification.id);
    return [step, notificationStep(notification, from, options)];
  });
  const others = notifications.filter(({ id }) => !placed.has(id)).map((each) => notificationStep(each, from, options));
  const steps = [...(event ? [eventStep(event, project)] : []), ...waitingSteps(event), ...ofRules, ...others];
  return incident ? [...incidentSteps(incident, false), ...steps, ...incidentSteps(incident, true)] : steps;
}

const LINE_TONES: Readonly<Record<string, TimelineItem["tone"]>> = {
  alert: "bad",
  notified: "accent",
  acknowledged: "ok",
  resolved: "ok",
};

/** The cause of an incident's notification; its acknowledgements follow the notification. */
function incidentSteps({ incidentId, number, lines }: ExplainedIncident, areAcks: boolean): TimelineItem[] {
  return lines
    .filter(({ kind }) => (kind === "acknowledged") === areAcks)
    .map(({ at, kind, text }, index) => ({
      key: `incident ${kind} ${index}`,
      tone: LINE_TONES[kind] ?? "plain",
      time: at === null ? undefined : <Time at={at} mode="clock-ms" />,
      title: <UserText>{plainText(text)}</UserText>,
      ...(kind === "opened" && {
        sub: <Link href={href(`/incidents/${encodeURIComponent(incidentId)}`)}>Show incident {number}</Link>,
      }),
    }));
}

function eventStep(event: ExplainedEvent, project: string | null): TimelineItem {
  const { id, type, source, level, receivedAt, occurredAt } = event;
  const isLate = Date.parse(receivedAt) - Date.parse(occurredAt) > 1000;
  const origin = [
    source === null ? "" : `from ${source}`,
    project === null ? "" : `project ${project}`,
    `level ${level}`,
  ];
  return {
    key: `event ${id}`,
    title: (
      <>
        Event <code class="code-in">{type}</code> stored
      </>
    ),
    time: <Time at={receivedAt} mode="clock-ms" />,
    sub: (
      <>
        <UserText>{origin.filter(Boolean).join(", ")}</UserText>
        {isLate && (
          <>
            , happened at <Time at={occurredAt} mode="clock-ms" />
          </>
        )}
      </>
    ),
  };
}

function waitingSteps(event: ExplainedEvent | null): TimelineItem[] {
  if (event?.state === "waiting")
    return [
      { key: "waiting", tone: "warn", pending: true, title: "Waits for its rules", sub: "It is evaluated next." },
    ];
  if (event?.state !== "failed") return [];
  const { attempts = 0, lastError = null } = event.failure ?? {};
  const why = lastError === null ? "" : `${plainText(lastError)} · `;
  const sub = `${why}${plural(attempts, "attempt")}, tried again automatically`;
  return [{ key: "failed", tone: "bad", title: "The rules could not be evaluated", sub }];
}

const DOT = { ok: "accent", warn: "warn", info: "info", plain: "plain", bad: "bad" } as const;

function ruleStep(rule: ExplainedRule, from: number): TimelineItem {
  const { ruleId, name, version, outcome, condition, trace, at, user } = rule;
  // A receiver's own rule has no versions.
  const path = version === 0 ? `/connect/receivers/${ruleId}` : `/rules/${encodeURIComponent(ruleId)}`;
  const { title, tone } = OUTCOMES[outcome];
  const reason = ruleReason(rule);
  return {
    key: `rule ${ruleId}`,
    tone: DOT[tone],
    time: at === null ? undefined : <Offset at={at} from={from} />,
    title: (
      <>
        Rule “
        {canInProject("rules:read") ? (
          <Link quiet href={href(path)}>
            {name}
          </Link>
        ) : (
          <UserText>{name}</UserText>
        )}
        ” {title}
      </>
    ),
    sub: reason === null ? undefined : <UserText>{reason}</UserText>,
    children: (
      <>
        {condition !== null && trace && (
          <Condition
            text={condition}
            result={resultOf(rule)}
            values={valuesOf(trace.trace)}
            {...(trace.error === undefined ? {} : { error: { message: trace.error } })}
          />
        )}
        {user && !user.told && outcome === "fired" && (
          <p class="explain-reason">
            <UserText>{plainText(user.reason)}</UserText>
          </p>
        )}
      </>
    ),
  };
}

const KINDS: Readonly<Record<string, string>> = {
  direct: "sent directly",
  timer: "sent by a timer",
  digest: "a digest",
  alert: "an alert",
  incident: "of an incident",
  aggregate: "a summary of suppressed matches",
};

function acknowledgedText(people: number, incident: ExplainedIncident | null): string {
  if (people > 0) return `${people} acknowledged`;
  if (incident?.state === "resolved") return "incident ended";
  return (incident?.acknowledgements.length ?? 0) > 0 ? "incident acknowledged" : "not acknowledged yet";
}

function notificationStep(
  notification: ExplainedNotification,
  from: number,
  { explanation: { user, event, incident }, onAsk }: StoryOptions,
): TimelineItem {
  const { id, title, kind, createdAt, aggregateCount, counts, storm } = notification;
  const details = [
    KINDS[kind] ?? "",
    plural(counts.recipients, "person", "people"),
    acknowledgedText(counts.acknowledged, incident),
    aggregateCount > 1 ? `covers ${aggregateCount} events` : "",
    storm ? `${storm.heldBack} matches suppressed` : "",
  ];
  return {
    key: `notification ${id}`,
    tone: counts.acknowledged > 0 ? "ok" : "accent",
    // Without an event the story starts here.
    time: event ? <Offset at={createdAt} from={from} /> : <Time at={createdAt} mode="clock-ms" />,
    title: (
      <>
        Notification “<UserText>{title}</UserText>”{" "}
        {counts.acknowledged === 0 && counts.read === 0 && <Badge tone="warn">not seen</Badge>}
      </>
    ),
    sub: details.filter(Boolean).join(" · "),
    children: (
      <>
        <Recipients notification={notification} from={from} userId={user?.id ?? null} onAsk={onAsk} />
        <OtherChannels notification={notification} />
      </>
    ),
  };
}

import type { AlertTrial } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { Answer, Badge, formatDuration, Link, Time, Timeline, type TimelineItem, UserText } from "../../ui/index.ts";

type Route = AlertTrial["routes"][number];

interface Props {
  readonly trial: AlertTrial;
  /** The question was about now: open incidents count. */
  readonly isNow: boolean;
}

/** Who would be paged, and after how long. */
export function TrialAnswer({ trial, isNow }: Props) {
  const { at, routes } = trial;
  return (
    <section class="section" aria-label="Who would be paged">
      <h3>
        Who would be paged{" "}
        {isNow ? (
          "now"
        ) : (
          <>
            on <Time at={at} mode="full" />
          </>
        )}
        ?
      </h3>
      <Answer>
        <b>{headOf(routes)}</b>
      </Answer>
      {routes.map((route) => (
        <TrialRoute key={route.groupKey} route={route} />
      ))}
      {!isNow && (
        <p class="muted small">
          Shifts, overrides and time intervals are those of that time; silences and firing alerts are those of now.
        </p>
      )}
    </section>
  );
}

const LISTED = 5;

function headOf(routes: readonly Route[]): string {
  if (routes.length === 0) return "No route takes the alert.";
  const steps = routes.flatMap(({ next }) => next.filter(({ users = [] }) => users.length > 0));
  const [first] = steps.sort((a, b) => a.afterMs - b.afterMs);
  const withheld = routes.flatMap((route) => route.withheld.map(({ text }) => text));
  if (!first) return ["No one would be paged.", ...withheld].join(" ");
  return `${listed((first.users ?? []).map(({ name }) => name))} would be paged ${timeOf(first.afterMs)}.`;
}

/** Such as "Ada, Ben and 2 more". */
export function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return names.slice(0, LISTED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function timeOf(afterMs: number): string {
  return afterMs === 0 ? "at once" : `after ${formatDuration(afterMs)}`;
}

function TrialRoute({ route }: { readonly route: Route }) {
  const { policy, withheld, incident, isListedOnly, groupKey, next } = route;
  const path = route.route.length === 1 ? "the root" : route.route.slice(1).join(" → ");
  return (
    <>
      <p class="route-out">
        Taken by <span class="mono">{path}</span>, policy{" "}
        <Link href={href(`/policies/${policy.id}`)}>
          <bdi>{policy.name}</bdi>
        </Link>
        {isListedOnly && ", which only lists alerts"}, in the group <span class="mono">{groupKey}</span>
        {incident && (
          <>
            , in <Link href={href(`/incidents/${incident.id}`)}>incident {incident.number}</Link>
          </>
        )}
        .{" "}
        {withheld.map(({ reason, text }) => (
          <Badge key={text} tone="warn">
            {reason}
          </Badge>
        ))}
      </p>
      {next.length > 0 && <Timeline label={`Pages of ${policy.name}`} items={next.map(itemOf)} />}
    </>
  );
}

function itemOf({ afterMs, text, users = [], urgency }: Route["next"][number]): TimelineItem {
  const time = timeOf(afterMs);
  if (users.length === 0) return { tone: "plain", time, title: <span class="small">{text}</span> };
  return {
    tone: "accent",
    time,
    title: (
      <>
        <UserText>{listed(users.map(({ name }) => name))}</UserText>
        {urgency === "low" && <span class="muted">, with low urgency</span>}
      </>
    ),
    sub: <span class="small">{text}</span>,
  };
}

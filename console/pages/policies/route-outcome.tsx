import type { Policy } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { Badge, formatDuration, Link, Timeline, UserText } from "../../ui/index.ts";
import { useTargetNames } from "./names.ts";
import { type DraftStep, type Names, stepText } from "./policy-types.ts";
import type { RouteMatch } from "./routing-types.ts";

interface OnCall {
  readonly scheduleId: string;
  readonly name: string;
  readonly current: readonly { readonly id: string; readonly name: string | null; readonly username?: string | null }[];
}

interface OutcomeProps {
  readonly match: RouteMatch;
  readonly policy: Policy | undefined;
  readonly projectId: string;
}

export function Outcome({ match, policy, projectId }: OutcomeProps) {
  const steps = policy?.steps ?? [];
  const names = useTargetNames(projectId, steps);
  const onCall = useGet<{ readonly data: readonly OnCall[] }>("/oncall/now", { projectId }).data?.data ?? [];
  const path = match.path.length === 1 ? "the root" : match.path.slice(1).join(" → ");
  return (
    <section class="section" aria-label={`Incident of ${match.policy.name}`}>
      <p class="route-out">
        Taken by <span class="mono">{path}</span>, policy{" "}
        <Link href={href(`/policies/${match.policy.id}`)}>
          <bdi>{match.policy.name}</bdi>
        </Link>
        , in the group <span class="mono">{match.groupKey}</span>.{" "}
        {match.mutedBy.length > 0 && <Badge tone="warn">muted now by {match.mutedBy.join(", ")}</Badge>}
      </p>
      <Timeline
        label={`Steps of ${match.policy.name}`}
        items={timesOf(steps, match.groupWaitMs).map(({ step, afterMs }, at) => ({
          key: `${at}`,
          tone: step.type === "notify" ? "accent" : "plain",
          time: afterMs === 0 ? "at once" : `after ${formatDuration(afterMs)}`,
          title: stepText(step, names),
          ...(step.type === "notify" ? { sub: <Receivers step={step} names={names} onCall={onCall} /> } : {}),
        }))}
      />
    </section>
  );
}

/** When each step runs if no person acknowledges. */
function timesOf(steps: readonly DraftStep[], groupWaitMs: number): readonly { step: DraftStep; afterMs: number }[] {
  let afterMs = groupWaitMs;
  return steps.flatMap((step) => {
    if (step.type === "wait") {
      afterMs += step.ms;
      return [];
    }
    return [{ step, afterMs }];
  });
}

interface ReceiversProps {
  readonly step: Extract<DraftStep, { type: "notify" }>;
  readonly names: Names;
  readonly onCall: readonly OnCall[];
}

/** The people who are on call now for its schedules. */
function Receivers({ step, names, onCall }: ReceiversProps) {
  const { schedules = [] } = step;
  if (schedules.length === 0) return null;
  const people = schedules.map(({ id }) => {
    const current = onCall.find(({ scheduleId }) => scheduleId === id)?.current ?? [];
    const who = current.map(({ name, username }) => name || username || "an account").join(", ") || "no one";
    return `${names.schedules.get(id) ?? "The schedule"}: ${who} now`;
  });
  return <UserText>{people.join("; ")}</UserText>;
}

import { FlaskConical } from "lucide";
import { useEffect, useState } from "preact/hooks";
import type { Policy } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { readLabels } from "../../app/matchers.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  ErrorState,
  Field,
  Form,
  formatDuration,
  Input,
  Link,
  Timeline,
  UserText,
} from "../../ui/index.ts";
import { useTargetNames } from "./names.ts";
import { type DraftStep, type Names, stepText } from "./policy-types.ts";
import type { RouteMatch, RoutingDocument } from "./routing-types.ts";

interface Props {
  readonly projectId: string;
  /** The unsaved document; undefined: the stored one. */
  readonly document: RoutingDocument | undefined;
  readonly policies: readonly Policy[];
  readonly onMatches: (matches: readonly RouteMatch[]) => void;
}

interface OnCall {
  readonly scheduleId: string;
  readonly name: string;
  readonly current: readonly { readonly id: string; readonly name: string | null; readonly username?: string | null }[];
}

/** Labels in; path, policy and receivers out. */
export function RouteTest({ projectId, document, policies, onMatches }: Props) {
  const [given, setGiven] = useQueryState("labels");
  const [text, setText] = useState(given);
  const [state, setState] = useState<{ matches?: readonly RouteMatch[]; error?: unknown }>({});
  const labels = readLabels(text);
  const run = async () => {
    if (labels === undefined) return;
    setGiven(text);
    try {
      const body = { labels, ...(document ? { document } : {}) };
      const { matches } = await api.post<{ matches: readonly RouteMatch[] }>("/routes/test", body, { projectId });
      setState({ matches });
      onMatches(matches);
    } catch (error) {
      setState({ error });
      onMatches([]);
    }
  };
  useEffect(() => {
    if (given !== "") void run();
  }, []);
  return (
    <Card title="What would happen?" sub="To an alert with these labels, now. Nothing is stored or sent.">
      <div class="stack">
        <Form onSubmit={run} label="Test of the routes">
          <div class="inline">
            <span class="grow">
              <Field
                label="Labels"
                error={labels === undefined ? "Write labels as alertname=DiskFull, team=db" : undefined}
              >
                <Input
                  value={text}
                  onChange={setText}
                  placeholder="alertname=DiskFull, team=db, severity=critical"
                  mono
                />
              </Field>
            </span>
            <Button icon={FlaskConical} type="submit" disabled={labels === undefined}>
              Test
            </Button>
          </div>
        </Form>
        {state.error !== undefined && <ErrorState small error={state.error} />}
        {state.matches?.map((match) => (
          <Outcome
            key={match.groupKey}
            match={match}
            policy={policies.find(({ id }) => id === match.policy.id)}
            projectId={projectId}
          />
        ))}
      </div>
    </Card>
  );
}

interface OutcomeProps {
  readonly match: RouteMatch;
  readonly policy: Policy | undefined;
  readonly projectId: string;
}

function Outcome({ match, policy, projectId }: OutcomeProps) {
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

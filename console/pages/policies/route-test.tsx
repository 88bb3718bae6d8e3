import { FlaskConical } from "lucide";
import { useEffect, useState } from "preact/hooks";
import type { AlertTrial, Policy } from "../../../src/client/api-types.gen.ts";
import { api, PrismError } from "../../app/api.ts";
import { readLabels } from "../../app/matchers.ts";
import { useQueryState } from "../../app/navigate.ts";
import { Button, Card, DateTimeInput, ErrorState, Field, Form, Input, Skeleton } from "../../ui/index.ts";
import { TrialAnswer } from "./alert-trial.tsx";
import { Outcome } from "./route-outcome.tsx";
import type { RouteMatch, RoutingDocument } from "./routing-types.ts";

interface Props {
  readonly projectId: string;
  /** The unsaved document; undefined: the stored one. */
  readonly document: RoutingDocument | undefined;
  readonly policies: readonly Policy[];
  /** The document is being changed: the test of the address comes after that. */
  readonly waits: boolean;
  readonly onMatches: (matches: readonly RouteMatch[]) => void;
}

interface Tested {
  /** The labels of the address are being tested. */
  readonly isFirst?: boolean;
  readonly matches?: readonly RouteMatch[];
  /** What the stored routes do, with people; undefined: the document is not saved, or the caller may not read it. */
  readonly trial?: AlertTrial | undefined;
  readonly error?: unknown;
}

/** Labels and a time in; path, policy and people out. */
export function RouteTest({ projectId, document, policies, waits, onMatches }: Props) {
  const [given, setGiven] = useQueryState("labels");
  const [givenAt, setGivenAt] = useQueryState("at");
  const [text, setText] = useState(given);
  const [at, setAt] = useState(givenAt);
  const [state, setState] = useState<Tested>({ isFirst: given !== "" });
  const labels = readLabels(text);
  const run = async () => {
    if (labels === undefined) return;
    setGiven(text);
    setGivenAt(at);
    try {
      const body = { labels, ...(document ? { document } : {}) };
      const { matches } = await api.post<{ matches: readonly RouteMatch[] }>("/routes/test", body, { projectId });
      const asked = { projectId, labels, ...(at === "" ? {} : { at }) };
      const trial = document ? undefined : await api.post<AlertTrial>("/explain/alert", asked).catch(unlessRefused);
      setState({ matches, trial });
      onMatches(matches);
    } catch (error) {
      setState({ error });
      onMatches([]);
    }
  };
  useEffect(() => {
    if (given === "" || waits) return;
    if (labels === undefined) setState({});
    else void run();
  }, []);
  return (
    <Card
      title="What would happen?"
      sub="To an alert with these labels, now or at another time. Nothing is stored or sent."
    >
      <div class="stack">
        <Form onSubmit={run} label="Test of the routes">
          <div class="grid2">
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
            <Field label="When" hint="Empty: now">
              <DateTimeInput value={at} onChange={setAt} />
            </Field>
          </div>
          <div class="inline">
            <Button icon={FlaskConical} type="submit" disabled={labels === undefined}>
              Test
            </Button>
          </div>
        </Form>
        {state.isFirst && <Skeleton kind="text" />}
        {state.error !== undefined && <ErrorState small error={state.error} />}
        {state.trial ? (
          <TrialAnswer trial={state.trial} isNow={givenAt === ""} />
        ) : (
          state.matches?.map((match) => (
            <Outcome
              key={match.groupKey}
              match={match}
              policy={policies.find(({ id }) => id === match.policy.id)}
              projectId={projectId}
            />
          ))
        )}
        {state.matches && document && (
          <p class="muted small">These routes are not saved. Save them to see who would be paged.</p>
        )}
      </div>
    </Card>
  );
}

/** Without the right to read alerts the routes are shown, not the people. */
function unlessRefused(error: unknown): undefined {
  if (error instanceof PrismError && error.status === 403) return undefined;
  throw error;
}

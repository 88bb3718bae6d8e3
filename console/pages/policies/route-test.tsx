import { FlaskConical } from "lucide";
import { useEffect, useState } from "preact/hooks";
import type { Policy } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { readLabels } from "../../app/matchers.ts";
import { useQueryState } from "../../app/navigate.ts";
import { Button, Card, ErrorState, Field, Form, Input } from "../../ui/index.ts";
import { Outcome } from "./route-outcome.tsx";
import type { RouteMatch, RoutingDocument } from "./routing-types.ts";

interface Props {
  readonly projectId: string;
  /** The unsaved document; undefined: the stored one. */
  readonly document: RoutingDocument | undefined;
  readonly policies: readonly Policy[];
  readonly onMatches: (matches: readonly RouteMatch[]) => void;
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

import type { Integration, IssuedIntegration } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { Banner, Button, Card, CodeBlock, EmptyState, Secret, Skeleton } from "../../ui/index.ts";
import { Addresses, PROTOCOLS } from "./integrations.tsx";

interface StepProps {
  readonly integration: IssuedIntegration;
}

export function KeyStep({ integration: { kind, key }, onDone }: StepProps & { readonly onDone: () => void }) {
  const protocol = PROTOCOLS[kind];
  return (
    <Card title="Set up the program" sub="Change its URL and its key.">
      <div class="stack">
        <Secret
          label={protocol.key}
          value={key}
          hint="It is shown only now; a lost one can be replaced on the page Connect."
        />
        <Addresses kind={kind} />
        <div class="stack s2">
          <p class="muted small">Alertmanager, for example:</p>
          <CodeBlock label="Settings of Alertmanager" text={protocol.sample(key)} />
        </div>
        <div>
          <Button variant="primary" onClick={onDone}>
            Wait for the first request
          </Button>
        </div>
      </div>
    </Card>
  );
}

export function WaitStep({ integration: { id, projectId } }: StepProps) {
  const query = useGet<Integration>(`/integrations/${id}`);
  const isUsed = query.data !== undefined && query.data.lastUsedAt !== null;
  useRefresh(() => !isUsed && query.reload(), POLL_MS, POLL_MS);
  const project = useProjects().find((each) => each.id === projectId)?.slug ?? projectId;
  return (
    <div class="stack">
      {isUsed ? (
        <Banner tone="ok" title="The first request has arrived">
          Its alerts are listed under Alerts.
        </Banner>
      ) : (
        <>
          <EmptyState title="Waiting for the first request" text="Let the program send a test. It appears here." />
          <Skeleton kind="text" />
        </>
      )}
      <div class="inline">
        <Button variant="primary" href={href(`/alerts?project=${project}`)}>
          Show the alerts
        </Button>
        <Button href={href(`/connect?project=${project}`)}>All keys</Button>
      </div>
    </div>
  );
}

/** Uses of a key are not announced by a stream. */
const POLL_MS = 2000;

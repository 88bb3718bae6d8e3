import { useState } from "preact/hooks";
import type { CreateIntegration, Integration, IssuedIntegration } from "../../../src/client/api-types.gen.ts";
import { href, SERVER_URL } from "../../app/base.ts";
import { readLabels } from "../../app/matchers.ts";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { integration } from "../../forms/integration.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import {
  Banner,
  Button,
  Card,
  CodeBlock,
  EmptyState,
  Input,
  Link,
  Page,
  Secret,
  Skeleton,
  Stepper,
} from "../../ui/index.ts";
import { Addresses, type Kind, PROTOCOLS } from "./integrations.tsx";

const STEPS = [{ label: "Name" }, { label: "Key" }, { label: "First request" }];
const BREADCRUMB = [{ label: "Connect", href: href("/connect") }];
const MANUAL = `${SERVER_URL}/docs/integrations#keys-of-pagerduty-and-opsgenie`;
/** Uses of a key are not announced by a stream. */
const POLL_MS = 2000;

/** `/connect/integrations/new/:kind`: a key for a program that speaks the API of another service. */
export default function NewIntegration({ params }: PageProps) {
  const kind = params["kind"] ?? "";
  if (!Object.hasOwn(PROTOCOLS, kind))
    return (
      <Page title="New key" breadcrumb={BREADCRUMB}>
        <EmptyState title="No such API" text="Connect lists all of them." />
      </Page>
    );
  return <Steps key={kind} kind={kind as Kind} />;
}

function Steps({ kind }: { readonly kind: Kind }) {
  const [made, setMade] = useState<IssuedIntegration>();
  const [isSetUp, setUp] = useState(false);
  return (
    <Page
      title={`Receive with the ${PROTOCOLS[kind].title}`}
      subtitle="The program stays as it is: it gets another URL and another key."
      breadcrumb={BREADCRUMB}
      width="narrow"
      actions={
        <Button href={MANUAL} small>
          Manual
        </Button>
      }
    >
      <div class="stack s5">
        <Stepper steps={STEPS} current={made === undefined ? 0 : isSetUp ? 2 : 1} />
        {made === undefined ? (
          <NameStep kind={kind} onMade={setMade} />
        ) : isSetUp ? (
          <WaitStep integration={made} />
        ) : (
          <KeyStep integration={made} onDone={() => setUp(true)} />
        )}
      </div>
    </Page>
  );
}

function NameStep({ kind, onMade }: { readonly kind: Kind; readonly onMade: (made: IssuedIntegration) => void }) {
  const [labels, setLabels] = useState("");
  const [projectId, setProject] = useProjectOfNew();
  const form = useResource<CreateIntegration, IssuedIntegration>(integration, {
    given: { kind, ...(projectId !== undefined && { projectId }) },
  });
  const read = readLabels(labels);
  const labelsField: FieldOf<CreateIntegration> = {
    name: "labels",
    label: "Labels of its alerts",
    hint: (
      <>
        The <Link href={href("/policies/routes")}>routes</Link> of the project decide by labels who is notified.
      </>
    ),
    error: read === undefined ? "Write labels such as team=web, env=prod." : undefined,
    as: (_, change) => (
      <Input
        value={labels}
        placeholder="team=web"
        onChange={(text) => {
          setLabels(text);
          change(readLabels(text) ?? {});
        }}
      />
    ),
  };
  return (
    <Card>
      <ResourceForm
        of={form}
        label="Integration key"
        action="Create key"
        disabled={read === undefined}
        onSaved={onMade}
      >
        <Fields of={form} show={[{ name: "name", placeholder: "Zabbix" }]} />
        <ProjectField value={projectId} onChange={setProject} />
        <Fields of={form} show={[labelsField]} />
      </ResourceForm>
    </Card>
  );
}

interface StepProps {
  readonly integration: IssuedIntegration;
}

function KeyStep({ integration: { kind, key }, onDone }: StepProps & { readonly onDone: () => void }) {
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

function WaitStep({ integration: { id, projectId } }: StepProps) {
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

import { useState } from "preact/hooks";
import type { CreateIntegration, IssuedIntegration } from "../../../src/client/api-types.gen.ts";
import { href, SERVER_URL } from "../../app/base.ts";
import { readLabels } from "../../app/matchers.ts";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { integration } from "../../forms/integration.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Button, Card, EmptyState, Input, Link, Page, Stepper } from "../../ui/index.ts";
import { KeyStep, WaitStep } from "./integration-steps.tsx";
import { type Kind, PROTOCOLS } from "./integrations.tsx";

const STEPS = [{ label: "Name" }, { label: "Key" }, { label: "First request" }];
const BREADCRUMB = [{ label: "Connect", href: href("/connect") }];
const MANUAL = `${SERVER_URL}/docs/integrations#keys-of-pagerduty-and-opsgenie`;
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

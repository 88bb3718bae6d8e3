import { useState } from "preact/hooks";
import type { CreateReceiver, IssuedReceiver, ReceiverPreset } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { receiver } from "../../forms/receiver.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Button, Card, EmptyState, Page, Stepper } from "../../ui/index.ts";
import { docsUrl } from "./connect-types.ts";
import { NOTIFY } from "./notify-field.tsx";
import { UrlStep, WaitStep } from "./receiver-steps.tsx";

const STEPS = [{ label: "Name" }, { label: "URL" }, { label: "First request" }];
export default function NewReceiver({ params }: PageProps) {
  const query = useGet<{ readonly data: readonly ReceiverPreset[] }>("/receivers/presets");
  return (
    <LoadedPage title="New receiver" query={query}>
      {({ data }) => <Found key={params["preset"]} preset={data.find(({ name }) => name === params["preset"])} />}
    </LoadedPage>
  );
}

function Found({ preset }: { readonly preset: ReceiverPreset | undefined }) {
  const [made, setMade] = useState<IssuedReceiver>();
  const [step, setStep] = useState(0);
  if (!preset) {
    return (
      <Page title="New receiver" breadcrumb={[{ label: "Connect", href: href("/connect") }]}>
        <EmptyState title="No such preset" text="The gallery lists all of them." />
      </Page>
    );
  }
  return (
    <Page
      title={`Receive from ${preset.title}`}
      breadcrumb={[{ label: "Connect", href: href("/connect") }]}
      width="narrow"
      actions={
        <Button href={docsUrl(preset)} small>
          Manual
        </Button>
      }
    >
      <div class="stack s5">
        <Stepper steps={STEPS} current={step} />
        {made === undefined ? (
          <NameStep
            preset={preset}
            onMade={(receiver) => {
              setMade(receiver);
              setStep(1);
            }}
          />
        ) : step === 1 ? (
          <UrlStep preset={preset} receiver={made} onDone={() => setStep(2)} />
        ) : (
          <WaitStep receiver={made} />
        )}
      </div>
    </Page>
  );
}

interface NameProps {
  readonly preset: ReceiverPreset;
  readonly onMade: (receiver: IssuedReceiver) => void;
}

function NameStep({ preset, onMade }: NameProps) {
  const [projectId, setProject] = useProjectOfNew();
  const form = useResource<CreateReceiver, IssuedReceiver>(receiver, {
    start: { name: preset.title },
    given: { preset: preset.name, ...(projectId !== undefined && { projectId }) },
  });
  const secret: FieldOf<CreateReceiver> = {
    ...{ name: "secret", label: preset.secretTitle ?? "Secret", type: "password", autocomplete: "new-password" },
    hint: "The same here and at the sender; requests without it are refused.",
    required: preset.secret === "required",
  };
  return (
    <Card>
      <ResourceForm of={form} label="Receiver" action="Create" onSaved={onMade}>
        <Fields of={form} show={["name"]} />
        <ProjectField value={projectId} onChange={setProject} />
        <Fields of={form} show={preset.secret === "none" ? [NOTIFY] : [NOTIFY, secret]} />
      </ResourceForm>
    </Card>
  );
}

import { useState } from "preact/hooks";
import type {
  CreateReceiver,
  IssuedReceiver,
  ReceiverPreset,
  ReceiverRequest,
} from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { receiver } from "../../forms/receiver.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Button, Card, EmptyState, Page, Secret, Skeleton, Stepper } from "../../ui/index.ts";
import { docsUrl } from "./connect-types.ts";
import { FirstRequest, NOTIFY } from "./first-request.tsx";
import { SetupLines } from "./setup-lines.tsx";

const STEPS = [{ label: "Name" }, { label: "URL" }, { label: "First request" }];
/** Requests are not announced by a stream. */
const POLL_MS = 2000;

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

interface UrlProps {
  readonly preset: ReceiverPreset;
  readonly receiver: IssuedReceiver;
  readonly onDone: () => void;
}

function UrlStep({ preset, receiver: { url, mailAddress }, onDone }: UrlProps) {
  return (
    <Card title="Set up the sender" link={{ href: docsUrl(preset), text: "Manual" }}>
      <div class="stack">
        {mailAddress !== null && <Secret label="Mail address" value={mailAddress} hint="Mail to it is received." />}
        <Secret
          label="URL"
          value={url}
          hint="It is a credential and is shown only now; a lost one can be replaced on the receiver's page."
        />
        <SetupLines lines={preset.setup} url={url} mailAddress={mailAddress} />
        <div>
          <Button variant="primary" onClick={onDone}>
            Wait for the first request
          </Button>
        </div>
      </div>
    </Card>
  );
}

function WaitStep({ receiver: { id } }: { readonly receiver: IssuedReceiver }) {
  const query = useGet<{ readonly data: readonly ReceiverRequest[] }>(`/receivers/${id}/requests`, { limit: 1 });
  const [first] = query.data?.data ?? [];
  useRefresh(() => first === undefined && query.reload(), POLL_MS, POLL_MS);
  const open = (
    <Button variant="primary" href={href(`/connect/receivers/${id}`)}>
      Open the receiver
    </Button>
  );
  if (first === undefined) {
    return (
      <div class="stack">
        <EmptyState title="Waiting for the first request" text="Let the sender deliver a test. It appears here." />
        <Skeleton kind="text" />
        <div>{open}</div>
      </div>
    );
  }
  return (
    <div class="stack">
      <FirstRequest receiverId={id} request={first} />
      <div>{open}</div>
    </div>
  );
}

import { useState } from "preact/hooks";
import type { Channel, ChannelPreset } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFieldErrors } from "../../app/field-errors.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { Button, Card, choices, EmptyState, Field, Form, Input, Page, Segmented, Stepper } from "../../ui/index.ts";
import { ChannelFields, changedFields, type Values } from "./channel-fields.tsx";
import { ChannelTest } from "./channel-test.tsx";
import { docsUrl } from "./connect-types.ts";
import { SetupLines } from "./setup-lines.tsx";

const STEPS = [{ label: "Name" }, { label: "Fields" }, { label: "Test" }];
const OWNERS = choices({ own: "My notifications", project: "A project's notifications" });

export default function NewChannel({ params }: PageProps) {
  const query = useGet<{ readonly presets: readonly ChannelPreset[] }>("/channels/presets");
  return (
    <LoadedPage title="New channel" query={query}>
      {({ presets }) => <Found key={params["preset"]} preset={presets.find(({ name }) => name === params["preset"])} />}
    </LoadedPage>
  );
}

function Found({ preset }: { readonly preset: ChannelPreset | undefined }) {
  const breadcrumb = [{ label: "Connect", href: href("/connect?kind=channels") }];
  return preset ? (
    <Page
      title={`Send to ${preset.title}`}
      breadcrumb={breadcrumb}
      width="narrow"
      actions={
        <Button href={docsUrl(preset)} small>
          Manual
        </Button>
      }
    >
      <Steps preset={preset} />
    </Page>
  ) : (
    <Page title="New channel" breadcrumb={breadcrumb}>
      <EmptyState title="No such preset" text="The gallery lists all of them." />
    </Page>
  );
}

function Steps({ preset }: { readonly preset: ChannelPreset }) {
  const [step, setStep] = useState(0);
  const [name, setName] = useState(preset.title);
  const [owner, setOwner] = useState("own");
  const [projectId, setProject] = useProjectOfNew();
  const [values, setValues] = useState<Values>({});
  const [made, setMade] = useState<Channel>();
  const errors = useFieldErrors(
    preset.fields.map(({ key }) => key),
    { prefix: "fields." },
  );
  const create = async () => {
    const fields = changedFields(preset.fields, values);
    const body = { name, preset: preset.name, fields, ...(owner === "project" ? { projectId } : {}) };
    const channel = await errors.attempt(() => api.post<Channel>("/channels", body));
    if (channel === undefined) return;
    invalidate("/channels");
    setMade(channel);
    setStep(2);
  };
  return (
    <div class="stack s5">
      <Stepper steps={STEPS} current={step} onStep={made ? undefined : setStep} />
      {step === 0 && (
        <Form onSubmit={() => setStep(1)} label="Channel">
          <Card>
            <div class="stack">
              <Field label="Name" required>
                <Input value={name} onChange={setName} maxLength={100} />
              </Field>
              {canInProject("channels:write") === true && (
                <Segmented label="It gets" value={owner} onChange={setOwner} options={OWNERS} />
              )}
              {owner === "project" && <ProjectField value={projectId} onChange={setProject} />}
              <SubmitButton disabled={name.trim() === ""}>Continue</SubmitButton>
            </div>
          </Card>
        </Form>
      )}
      {step === 1 && (
        <Form onSubmit={create} label="Fields">
          <Card title="Set up the service" link={{ href: docsUrl(preset), text: "Manual" }}>
            <div class="stack">
              <SetupLines lines={preset.setup} />
              <ChannelFields fields={preset.fields} values={values} onChange={setValues} errorOf={errors.of} />
              <SubmitButton>Create</SubmitButton>
            </div>
          </Card>
        </Form>
      )}
      {step === 2 && made && (
        <Card title="Send a test" link={{ href: href(`/connect/channels/${made.id}`), text: "Open the channel" }}>
          <ChannelTest id={made.id} />
        </Card>
      )}
    </div>
  );
}

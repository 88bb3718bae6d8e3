import { useState } from "preact/hooks";
import type { Channel, ChannelPreset, CreateChannel } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import type { PageProps } from "../../app/page-module.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { channel } from "../../forms/channel.gen.ts";
import { Fields, ResourceForm } from "../../forms/fields.tsx";
import { partOf, useResource } from "../../forms/use-resource.ts";
import { Button, Card, choices, EmptyState, Form, Page, Segmented, Stepper } from "../../ui/index.ts";
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
  const [owner, setOwner] = useState("own");
  const [projectId, setProject] = useProjectOfNew();
  const [values, setValues] = useState<Values>({});
  const [made, setMade] = useState<Channel>();
  const form = useResource<CreateChannel, Channel>(channel, {
    start: { name: preset.title },
    given: {
      ...{ preset: preset.name, fields: changedFields(preset.fields, values) },
      ...(owner === "project" && projectId !== undefined && { projectId }),
    },
  });
  const { name = "" } = form.values;
  const show = (channel: Channel) => {
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
              <Fields of={form} show={["name"]} />
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
        <Card title="Set up the service" link={{ href: docsUrl(preset), text: "Manual" }}>
          <ResourceForm of={form} label="Fields" action="Create" onSaved={show}>
            <SetupLines lines={preset.setup} />
            <ChannelFields fields={preset.fields} values={values} onChange={setValues} of={partOf(form, "fields")} />
          </ResourceForm>
        </Card>
      )}
      {step === 2 && made && (
        <Card title="Send a test" link={{ href: href(`/connect/channels/${made.id}`), text: "Open the channel" }}>
          <ChannelTest id={made.id} />
        </Card>
      )}
    </div>
  );
}

import { useState } from "preact/hooks";
import type { CreateSilence, SilenceDetail, SilencePreview } from "../../../src/client/api-types.gen.ts";
import { api, ifMatch } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { MatcherField } from "../../app/matcher-field.tsx";
import type { Matcher } from "../../app/matchers.ts";
import { navigate } from "../../app/navigate.ts";
import { usePreview } from "../../app/preview.ts";
import { ProjectChoice, useProjectChoice } from "../../app/project-choice.tsx";
import { ProposedBanner, type Saving } from "../../app/proposed.tsx";
import { invalidate } from "../../app/query.ts";
import { Fields } from "../../forms/fields.tsx";
import { silence as described } from "../../forms/silence.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";
import { Button, Card, Form, Page, toast } from "../../ui/index.ts";
import { PreviewView } from "./preview.tsx";
import { nameOf } from "./silence-types.ts";
import { type Times, timesBody, timesOf } from "./times.ts";
import { TimesFields } from "./times-fields.tsx";

export interface Start {
  readonly matchers: readonly Matcher[];
  readonly times: Times;
  readonly comment: string;
  readonly projectId?: string;
}

/** Times that have passed are not copied. */
export function startOf(silence: SilenceDetail): Start {
  const { matchers, comment, projectId, recurrence } = silence;
  return { matchers, comment, projectId, times: recurrence ? timesOf(silence) : timesOf() };
}

interface Props {
  readonly start: Start;
  readonly silence?: SilenceDetail;
  /** It is proposed by the reports. */
  readonly saving?: Saving | null;
}

export function SilenceForm({ start, silence, saving = null }: Props) {
  const [chosen, setProject, projects] = useProjectChoice();
  const [matchers, setMatchers] = useState(start.matchers);
  const [times, setTimes] = useState(start.times);
  const [comment, setComment] = useState(start.comment);
  const reason = editedOf<CreateSilence>(described, { comment }, (next) => setComment(next.comment ?? ""));
  const project = start.projectId ?? chosen;
  const when = timesBody(times, silence);
  const preview = usePreview<SilencePreview>(
    "/silences/preview",
    matchers.length === 0 ? null : { projectId: project, matchers, ...(when ?? {}) },
  );
  const problem =
    matchers.length === 0
      ? "Add a matcher"
      : when === undefined
        ? "Choose an end"
        : comment.trim() === ""
          ? "Add a comment: others see why"
          : undefined;
  const save = async () => {
    const body = { matchers, comment, ...when };
    const saved = silence
      ? await api.patch<SilenceDetail>(`/silences/${silence.id}`, body, ifMatch(silence))
      : await api.post<SilenceDetail>("/silences", { projectId: project, ...body });
    invalidate("/silences");
    toast.ok(saved.state === "active" ? "The alerts are silenced." : "The silence is saved.");
    navigate(`/silences/${saved.id}`, { replace: true });
  };
  const back = silence ? [{ label: nameOf(silence), href: href(`/silences/${silence.id}`) }] : [];
  return (
    <Page
      title={silence ? "Change silence" : "New silence"}
      subtitle="Matching alerts fire and resolve as before, but notify no one while it is active."
      breadcrumb={[{ label: "Silences", href: href("/silences") }, ...back]}
    >
      {saving && (
        <ProposedBanner saving={saving}>
          The silence is filled in, and not saved. What it hits now is shown with it.
        </ProposedBanner>
      )}
      <Form onSubmit={save} label="Silence">
        <div class="two">
          <div class="stack">
            <Card
              title="Which alerts"
              sub="All matchers must match; an absent label counts as empty."
              actions={
                start.projectId ? undefined : <ProjectChoice value={chosen} onChange={setProject} projects={projects} />
              }
            >
              <MatcherField matchers={matchers} onChange={setMatchers} projectId={project} />
            </Card>
            <Card title="When">
              <TimesFields times={times} onChange={setTimes} />
            </Card>
            <Card title="Why">
              <Fields of={reason} show={[{ name: "comment", rows: 3 }]} />
            </Card>
            <div class="inline silence-save">
              <Button variant="primary" type="submit" disabled={problem !== undefined}>
                {silence ? "Save" : "Silence"}
              </Button>
              <span class="muted" role="status">
                {problem}
              </span>
            </div>
          </div>
          <Card title="What it hits now">
            <PreviewView preview={preview} />
          </Card>
        </div>
      </Form>
    </Page>
  );
}

import { useEffect, useState } from "preact/hooks";
import type { Receiver, ReceiverPreset, ReceiverRequest, ReceiverTest } from "../../../src/client/api-types.gen.ts";
import { api, errorText } from "../../app/api.ts";
import { ConflictBanner, useDraft } from "../../app/draft.tsx";
import { invalidate } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { Button, Card, Code, Field, Form, formatInstant, Select, Textarea, toast } from "../../ui/index.ts";
import { RESULTS } from "./connect-types.ts";
import { Outcome } from "./mapping-outcome.tsx";

interface Props {
  readonly receiver: Receiver;
  readonly preset: ReceiverPreset | undefined;
  readonly requests: readonly ReceiverRequest[];
  /** The request to try; empty: the sample of the preset. */
  readonly triedId: string;
  readonly onTry: (id: string) => void;
}

const textOf = ({ mapping }: Receiver) => JSON.stringify(mapping ?? {}, null, 2);

/** The mapping as JSON, and beside it what it makes of a request. */
export function MappingEditor({ receiver, preset, requests, triedId, onTry }: Props) {
  const path = `/receivers/${receiver.id}`;
  const edit = useDraft({
    stored: receiver,
    draftOf: textOf,
    isChanged: (before, after) => before !== after,
    reload: () => invalidate(path),
  });
  const [problem, setProblem] = useState<string>();
  const [tested, setTested] = useState<ReceiverTest>();
  /** Shows an error of the text or of the server at the field. */
  const attempt = async (work: (mapping: unknown) => Promise<void>) => {
    setProblem(undefined);
    try {
      await work(JSON.parse(edit.draft.trim() || "{}"));
    } catch (error) {
      setProblem(errorText(error));
    }
  };
  const test = () =>
    attempt(async (mapping) => {
      setTested(undefined);
      setTested(
        await api.post<ReceiverTest>(`${path}/test`, { mapping, ...(triedId === "" ? {} : { requestId: triedId }) }),
      );
    });
  const save = () =>
    attempt(async (mapping) => {
      const isSaved = await edit.save((extra) => api.patch<Receiver>(path, { mapping }, extra));
      if (!isSaved) return;
      invalidate("/receivers");
      toast.ok("The mapping is saved. It is used for the next request.");
    });
  useEffect(() => {
    if (triedId !== "") void test();
  }, [triedId]);
  const options = requests.map(({ id, at, result }) => ({
    value: id,
    label: `${formatInstant(at, "clock")}, ${RESULTS[result].text}`,
  }));
  return (
    <Card title="Mapping" sub="Members override those of the preset; null removes one.">
      <div class="stack">
        <ConflictBanner edit={edit} mine={{ label: "Keep mine", onClick: () => edit.start(edit.stored, edit.draft) }} />
        <div class="grid2">
          <Form onSubmit={save} label="Mapping">
            <div class="stack">
              <Field label="Mapping as JSON" error={problem}>
                <Textarea value={edit.draft} onChange={edit.setDraft} rows={14} mono />
              </Field>
              <SubmitButton disabled={!edit.isDirty}>Save</SubmitButton>
              {preset && (
                <details>
                  <summary>The preset's mapping</summary>
                  <Code value={preset.mapping} label="Mapping of the preset" depth={1} />
                </details>
              )}
            </div>
          </Form>
          <div class="stack">
            <Field label="Request">
              <Select
                value={triedId}
                onChange={onTry}
                options={[{ value: "", label: "The preset's sample" }, ...options]}
              />
            </Field>
            <div>
              <Button onClick={test}>Test</Button>
            </div>
            <div class="stack" role="status">
              {tested && <Outcome tested={tested} />}
            </div>
          </div>
        </div>
      </div>
    </Card>
  );
}

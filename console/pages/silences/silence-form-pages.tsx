import { useState } from "preact/hooks";
import type { SilenceDetail, SilencePreview } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { matchersOf, readLabels } from "../../app/matchers.ts";
import { useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { savingOfAddress } from "../../app/proposed.tsx";
import { useQuery } from "../../app/query.ts";
import { SilenceForm, type Start, startOf } from "./silence-form.tsx";
import { timesOf } from "./times.ts";

/** A silence of matchers, from an incident, labels (`?labels=`, with a `comment`) or another one (`?copy=`). */
export function NewSilence({ params }: PageProps) {
  const { incident = "" } = params;
  const [labels] = useQueryState("labels");
  const [copy] = useQueryState("copy");
  const [until] = useQueryState("for");
  const [comment] = useQueryState("comment");
  const isGiven = incident !== "" || copy !== "";
  const query = useQuery<Start>(isGiven ? `/silences start ${incident} ${copy}` : null, async () => {
    if (copy !== "") return startOf(await api.get<SilenceDetail>(`/silences/${encodeURIComponent(copy)}`));
    const { matchers, projectId } = await api.post<SilencePreview>("/silences/preview", { incidentId: incident });
    return { matchers, projectId, times: timesOf(), comment: "" };
  });
  if (!isGiven) {
    const matchers = matchersOf(readLabels(labels) ?? {});
    return <SilenceForm start={{ matchers, times: timesOf(undefined, until), comment }} saving={savingOfAddress()} />;
  }
  return (
    <LoadedPage title="New silence" query={query}>
      {(start) => <SilenceForm start={start} />}
    </LoadedPage>
  );
}

export function EditSilence({ params }: PageProps) {
  const path = `/silences/${encodeURIComponent(params["id"] ?? "")}`;
  // As it is stored now: a change of a version that is shown elsewhere would be refused.
  const [opened] = useState(() => Date.now());
  const query = useQuery(`${path} edit ${opened}`, () => api.get<SilenceDetail>(path));
  return (
    <LoadedPage title="Change silence" query={query}>
      {(silence) => <SilenceForm start={{ ...startOf(silence), times: timesOf(silence) }} silence={silence} />}
    </LoadedPage>
  );
}

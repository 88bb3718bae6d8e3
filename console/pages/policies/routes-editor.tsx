import { useState } from "preact/hooks";
import type { Policy, RouteTraffic } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { ConflictBanner, useDraft } from "../../app/draft.tsx";
import { ManagedNotice, useLock } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { ProposedBanner } from "../../app/proposed.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { Button, Card, Form, isPending, toast } from "../../ui/index.ts";
import { InhibitRules } from "./inhibit-rules.tsx";
import { TimeIntervals } from "./interval-forms.tsx";
import { useProposal } from "./proposal.ts";
import { RouteTest } from "./route-test.tsx";
import { RouteTree } from "./route-tree.tsx";
import { documentOf, type RouteMatch, type Routing, type RoutingDocument } from "./routing-types.ts";

/** Edits are kept until they are saved with the version that they started from. */
export function RoutesEditor({ routing, reload }: { readonly routing: Routing; readonly reload: () => void }) {
  const isWritable = canInProject("policies:write") === true;
  const readOnly = useLock("routes", routing.projectId) || !isWritable;
  const edit = useDraft<Routing, RoutingDocument>({
    stored: routing,
    draftOf: documentOf,
    isChanged: (before, after) => JSON.stringify(before) !== JSON.stringify(after),
    reload,
  });
  const { base, draft, setDraft, isDirty } = edit;
  const [hits, setHits] = useState<readonly RouteMatch[]>([]);
  const counted = useGet<RouteTraffic>("/routes/traffic", { projectId: base.projectId });
  const traffic = counted.data;
  const isCounted = !isDirty && traffic?.version === base.version;
  const policies = useGet<{ readonly data: readonly Policy[] }>("/policies", { projectId: base.projectId }).data?.data;
  const save = async (replaced?: Routing) => {
    const query = { projectId: base.projectId };
    if (!(await edit.save((extra) => api.put<Routing>("/routes", draft, query, extra), replaced))) return;
    invalidate("/routes");
    toast.ok("The routes are saved. Open incidents keep the settings of their route.");
  };
  const change = (part: Partial<RoutingDocument>) => setDraft({ ...draft, ...part });
  const proposal = useProposal({ projectId: base.projectId, document: draft, readOnly, change: setDraft });
  const intervals = draft.timeIntervals.map(({ name }) => name);
  return (
    <div class="stack">
      {isWritable && <ManagedNotice kind="routes" id={routing.projectId} />}
      {proposal.saving && (proposal.isPending || proposal.isKnown || isDirty) && (
        <ProposedBanner saving={proposal.saving}>
          {proposal.isKnown
            ? "These routes have the change already."
            : "The change is filled in below, and not saved. The test shows what it does."}
        </ProposedBanner>
      )}
      <RouteTest
        key={`proposal ${proposal.isPending}`}
        waits={proposal.isPending}
        projectId={base.projectId}
        document={isDirty ? draft : undefined}
        policies={policies ?? []}
        onMatches={setHits}
      />
      <Form onSubmit={() => save()} label="Routes">
        <ConflictBanner edit={edit} mine={{ label: "Replace it with mine", onClick: () => save(routing) }} />
        <fieldset class="plain-set stack" disabled={readOnly}>
          <RouteTree
            root={draft.route}
            onChange={(route) => change({ route })}
            policies={(policies ?? []).map(({ name }) => name)}
            intervals={intervals}
            projectId={base.projectId}
            hits={hits}
            readOnly={readOnly}
            traffic={isCounted ? traffic : undefined}
            isCounting={isPending(counted)}
            added={proposal.path}
          />
          <Card title="Time intervals" sub="Named times in which routes are mute or active, and for steps of policies.">
            <TimeIntervals
              items={draft.timeIntervals}
              onChange={(timeIntervals) => change({ timeIntervals })}
              readOnly={readOnly}
            />
          </Card>
          <Card
            title="Inhibition"
            sub="While an alert of the source side fires, those of the target side notify no one."
          >
            <InhibitRules
              items={draft.inhibitRules}
              onChange={(inhibitRules) => change({ inhibitRules })}
              projectId={base.projectId}
              readOnly={readOnly}
            />
          </Card>
        </fieldset>
        {isDirty && !readOnly && (
          <div class="inline">
            <Button variant="primary" type="submit">
              Save routes
            </Button>
            <Button onClick={() => edit.start(routing)}>Discard</Button>
            <span class="muted">The test above uses the unsaved routes.</span>
          </div>
        )}
      </Form>
    </div>
  );
}

import { useState } from "preact/hooks";
import type { AssignedClaim, IntegrationClaim, IntegrationClaims } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Button,
  Card,
  type Column,
  DataTable,
  Dialog,
  Field,
  Input,
  isPending,
  openDialog,
  Time,
  toast,
  UserText,
  Waiting,
} from "../../ui/index.ts";

const PATH = "/integrations/claims";

const COLUMNS: readonly Column<IntegrationClaim>[] = [
  { label: "Key", cell: ({ prefix }) => <UserText mono>{`${prefix}…`}</UserText>, card: "title" },
  { label: "From", cell: ({ addresses }) => <UserText>{addresses.join(", ")}</UserText> },
  { label: "Requests", cell: ({ requests }) => requests.length, align: "end" },
  {
    label: "Last",
    cell: ({ requests }) => <UserText>{requests.findLast(({ message }) => message !== null)?.message ?? ""}</UserText>,
    priority: 2,
  },
  { label: "At", cell: ({ requests }) => <Time at={requests.at(-1)?.at ?? null} />, align: "end" },
];

/** Unknown Opsgenie keys, for administrators; nothing while the window is closed and none waits. */
export function Claims() {
  const query = useGet<IntegrationClaims>(can("projects:all") ? PATH : null);
  const { openUntil = null, data = [] } = query.data ?? {};
  const waiting = data.filter(({ integrationId }) => integrationId === null);
  if (isPending(query)) return <Waiting />;
  if (openUntil === null && waiting.length === 0) return null;
  const close = async () => {
    await api.post(`${PATH}/window`, { durationMs: 0 });
    query.reload();
  };
  return (
    <Card
      title="Unknown Opsgenie keys"
      sub={
        openUntil === null ? (
          "Requests with other keys are refused."
        ) : (
          <>
            Requests with unknown keys are kept until <Time at={openUntil} />.
          </>
        )
      }
      flush
      actions={
        openUntil !== null && (
          <Button small onClick={close}>
            Close the window
          </Button>
        )
      }
    >
      <DataTable<IntegrationClaim>
        bare
        label="Unknown Opsgenie keys"
        rows={waiting}
        columns={COLUMNS}
        rowActions={(claim) => [
          { label: "Assign", onSelect: () => openDialog(<Assign claim={claim} />) },
          { label: "Discard", onSelect: () => discard(claim) },
        ]}
      />
    </Card>
  );
}

function discard({ id, prefix }: IntegrationClaim): Promise<void> {
  const text = "Its kept requests are gone, and its sender is refused once the window is closed.";
  const question = { title: `Discard ${prefix}…?`, text, action: "Discard", done: "The key is discarded." };
  return confirmDelete(`${PATH}/${id}`, question, () => invalidate(PATH));
}

function Assign({ claim }: { readonly claim: IntegrationClaim }) {
  const [name, setName] = useState("");
  const [projectId, setProject] = useProjectOfNew();
  const save = async () => {
    const body = { name, ...(projectId !== undefined && { projectId }) };
    const { replayed } = await api.post<AssignedClaim>(`${PATH}/${claim.id}`, body);
    toast.ok(replayed === 0 ? "The key is assigned." : `The key is assigned; alerts opened: ${replayed}.`);
    invalidate("/integrations");
  };
  return (
    <Dialog
      title={`Assign ${claim.prefix}…`}
      subtitle="A new integration gets the key. Alerts of the last hour that were not closed open now."
      size="sm"
      onSubmit={save}
      action="Assign"
    >
      <Field label="Name" required>
        <Input value={name} onChange={setName} placeholder="Zabbix" autocomplete="off" />
      </Field>
      <ProjectField value={projectId} onChange={setProject} />
    </Dialog>
  );
}

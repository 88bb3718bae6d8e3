import { Download } from "lucide";
import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useList } from "../../app/query.ts";
import { saveFile } from "../../app/save-file.ts";
import { can, me } from "../../app/session.ts";
import {
  Banner,
  Button,
  Code,
  type Column,
  DataTable,
  DateTimeInput,
  DescriptionList,
  Drawer,
  EmptyState,
  formatNumber,
  Page,
  SearchInput,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";

/** A row of the audit trail, as `GET /api/v1/audit` lists it. */
interface Row {
  readonly seq: number;
  readonly id: string;
  readonly action: string;
  readonly userId: string | null;
  readonly actor: { readonly type?: string };
  /** The name of the user; absent without the permission to see it. */
  readonly actorName?: string | null;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly metadata: object;
  readonly ip: string | null;
  readonly requestId: string | null;
  readonly timestamp: string;
  readonly hash: string;
}

interface Verified {
  readonly ok: boolean;
  readonly checked: number;
  readonly firstBad?: { readonly seq: number };
  readonly truncated?: boolean;
}

const COLUMNS: readonly Column<Row>[] = [
  {
    key: "seq",
    label: "No.",
    cell: ({ seq }) => <span class="num">{formatNumber(seq)}</span>,
    priority: 3,
    card: "hide",
    width: "min",
  },
  { key: "action", label: "Action", cell: ({ action }) => <span class="mono nowrap">{action}</span>, card: "title" },
  {
    key: "by",
    label: "By",
    cell: (row) => (
      <span class="nowrap">
        <Actor row={row} />
      </span>
    ),
  },
  {
    key: "resource",
    label: "On",
    cell: ({ resourceType, resourceId }) => (
      <UserText lines={1}>{[resourceType, resourceId].filter(Boolean).join(" ")}</UserText>
    ),
    priority: 2,
    card: "text",
    width: "wide",
  },
  {
    key: "ip",
    label: "Address",
    cell: ({ ip }) => <span class="mono nowrap">{ip ?? ""}</span>,
    priority: 3,
    card: "hide",
  },
  { key: "at", label: "Time", cell: ({ timestamp }) => <Time at={timestamp} />, align: "end", card: "aside" },
];

function Actor({ row }: { readonly row: Row }) {
  if (row.userId === null && row.actor.type === "operator") return <span>Operator on the host</span>;
  if (row.actorName && row.userId !== null && row.userId !== me.value?.id) {
    return (
      <a href={href(`/people/${row.userId}`)}>
        <UserText>{row.actorName}</UserText>
      </a>
    );
  }
  return <PersonName id={row.userId} />;
}

/** Who did what, in a chain of hashes. */
export default function Audit() {
  const filters = useFilters({ action: "", resource: "", from: "", to: "" });
  const [shown, setShown] = useState<Row>();
  const [verified, setVerified] = useState<Verified>();
  const { resource, ...others } = filters.values;
  const filter = { ...others, resourceId: resource };
  const list = useList<Row>("/audit", { ...filter, limit: 50 });
  const verify = async () => setVerified(await api.get<Verified>("/audit/verify"));
  const download = async () => saveFile(await api.blob("/audit/export", filter, "text/csv"), "audit.csv");
  return (
    <Page
      title="Audit"
      subtitle="Every change and sign-in, in a chain of hashes that shows later changes."
      actions={
        <>
          {can("audit:export") && (
            <Button icon={Download} onClick={download}>
              Export CSV
            </Button>
          )}
          <Button variant="primary" onClick={verify}>
            Verify
          </Button>
        </>
      }
    >
      {verified && <VerifyResult result={verified} onDismiss={() => setVerified(undefined)} />}
      <Toolbar>
        <SearchInput {...filters.bind("action")} placeholder="Action, such as rule.update" label="Action" />
        <SearchInput {...filters.bind("resource")} placeholder="Id of a resource" label="Resource" slash={false} />
        <DateTimeInput {...filters.bind("from")} label="From" />
        <DateTimeInput {...filters.bind("to")} label="To" />
      </Toolbar>
      <DataTable<Row>
        label="Audit trail"
        list={list}
        rowKey={({ id }) => id}
        columns={COLUMNS}
        onOpen={setShown}
        empty={
          <EmptyState
            title="No entry matches"
            text="Change the filters. Actions are written in full, such as auth.login."
          />
        }
      />
      <Drawer open={shown !== undefined} onClose={() => setShown(undefined)} title={shown?.action ?? ""}>
        {shown && <RowDetail row={shown} />}
      </Drawer>
    </Page>
  );
}

function VerifyResult({ result, onDismiss }: { readonly result: Verified; readonly onDismiss: () => void }) {
  const { ok, checked, firstBad, truncated } = result;
  const count = formatNumber(checked);
  if (ok) {
    return (
      <Banner tone="ok" title="The chain is unbroken" onDismiss={onDismiss}>
        {`${count} entries were checked.`}
      </Banner>
    );
  }
  const what = firstBad ? `Entry ${firstBad.seq} does not match its hash.` : "";
  return (
    <Banner tone="bad" title="The chain is broken" onDismiss={onDismiss}>
      {`${what} ${truncated ? "Entries are missing at its end. " : ""}${count} entries were checked.`}
    </Banner>
  );
}

function RowDetail({ row }: { readonly row: Row }) {
  return (
    <div class="stack">
      <DescriptionList
        items={[
          { label: "Time", value: <Time at={row.timestamp} mode="full" /> },
          { label: "By", value: <Actor row={row} /> },
          { label: "On", value: `${row.resourceType ?? ""} ${row.resourceId ?? ""}` },
          { label: "Address", value: row.ip ?? "none" },
          { label: "Request", value: <span class="mono">{row.requestId ?? "none"}</span> },
          { label: "Hash", value: <span class="mono">{row.hash}</span> },
        ]}
      />
      <Code label="Details" value={row.metadata} />
      <Code label="Actor" value={row.actor} />
    </div>
  );
}

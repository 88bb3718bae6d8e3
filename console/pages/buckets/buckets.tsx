import { useState } from "preact/hooks";
import type { TransferBucket } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useFilters } from "../../app/filters.ts";
import { useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  ask,
  Badge,
  type Column,
  choices,
  DataTable,
  Dialog,
  EmptyState,
  Field,
  Input,
  Menu,
  type MenuEntry,
  NewButton,
  openDialog,
  Page,
  plural,
  SearchInput,
  Segmented,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";

const amounts = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 20 });

/** Formatted as a text: a number would lose digits. */
function Amount({ value, currency }: { readonly value: string; readonly currency: string }) {
  return <span class="num nowrap">{`${amounts.format(value as `${number}`)} ${currency}`}</span>;
}

const COLUMNS: readonly Column<TransferBucket>[] = [
  { label: "Bucket", cell: ({ name }) => <UserText>{name}</UserText>, card: "title", width: "wide" },
  {
    label: "Balance",
    cell: ({ currentBalance, currency }) => <Amount value={currentBalance} currency={currency} />,
    align: "end",
  },
  {
    label: "Threshold",
    cell: ({ threshold, currency }) => <Amount value={threshold} currency={currency} />,
    align: "end",
    priority: 2,
  },
  {
    label: "State",
    cell: ({ state }) => (
      <Badge tone={state === "ok" ? "ok" : "bad"}>{state === "ok" ? "enough" : "below threshold"}</Badge>
    ),
    card: "aside",
  },
  { label: "Changed", cell: ({ updatedAt }) => <Time at={updatedAt} />, align: "end", priority: 3 },
];

const STATES = choices({ "": "All", below: "Below threshold", ok: "Enough" });

/** Balances that are watched against a threshold. */
export default function Buckets() {
  const filters = useFilters({ q: "", state: "" });
  const list = useList<TransferBucket>("/transfer-buckets", { ...filters.values, limit: 50 });
  const below = list.items?.filter((bucket) => bucket.state === "below").length ?? 0;
  const make = can("buckets:balance") ? (
    <NewButton onClick={() => openDialog(<NewBucket onDone={list.reload} />)}>New bucket</NewButton>
  ) : undefined;
  const { isFiltered } = filters;
  return (
    <Page
      title="Transfer buckets"
      subtitle={
        below === 0
          ? "Every balance is above its threshold."
          : `${plural(below, "balance is", "balances are")} below the threshold.`
      }
      actions={make}
    >
      <Toolbar>
        <SearchInput {...filters.bind("q")} placeholder="Name" label="Search buckets" />
        <Segmented label="State" {...filters.bind("state")} options={STATES} />
      </Toolbar>
      <DataTable<TransferBucket>
        label="Transfer buckets"
        list={list}
        columns={COLUMNS}
        rowTone={(bucket) => (bucket.state === "below" ? "bad" : undefined)}
        rowActions={(bucket) => <BucketMenu bucket={bucket} onDone={list.reload} />}
        empty={
          <EmptyState
            title={isFiltered ? "No bucket matches" : "No balance is watched"}
            text={
              isFiltered
                ? "Change the search or the state."
                : "A bucket sends an event when its balance falls below the threshold."
            }
            action={isFiltered ? undefined : make}
          />
        }
      />
    </Page>
  );
}

function BucketMenu({ bucket, onDone }: { readonly bucket: TransferBucket; readonly onDone: () => void }) {
  const change = async (member: "currentBalance" | "threshold", path: string, label: string) => {
    const value = await ask({
      title: `${label} of ${bucket.name}`,
      label: `${label} in ${bucket.currency}`,
      action: "Save",
      value: bucket[member],
      required: true,
    });
    if (value === undefined) return;
    await api.put(`/transfer-buckets/${bucket.id}/${path}`, { [member]: value });
    toast.ok(`${label} saved.`);
    onDone();
  };
  const remove = async () => {
    const text = "Its balance is no longer watched.";
    await confirmDelete(`/transfer-buckets/${bucket.id}`, { title: `Delete ${bucket.name}?`, text }, onDone);
  };
  const entries: MenuEntry[] = [];
  if (can("buckets:balance"))
    entries.push({ label: "Set the balance", onSelect: () => change("currentBalance", "balance", "Balance") });
  if (can("buckets:write"))
    entries.push({ label: "Set the threshold", onSelect: () => change("threshold", "threshold", "Threshold") });
  if (can("buckets:balance")) entries.push({ label: "Delete", onSelect: remove, danger: true });
  return entries.length === 0 ? null : <Menu label={`Change ${bucket.name}`} small items={entries} />;
}

function NewBucket({ onDone }: { readonly onDone: () => void }) {
  const [name, setName] = useState("");
  const [currency, setCurrency] = useState("EUR");
  const [currentBalance, setBalance] = useState("");
  const [threshold, setThreshold] = useState("");
  const create = async () => {
    await api.post("/transfer-buckets", { name, currency, currentBalance, threshold });
    onDone();
  };
  return (
    <Dialog title="New bucket" size="sm" onSubmit={create} action="Create bucket">
      <Field label="Name" required>
        <Input value={name} onChange={setName} maxLength={255} autoFocus />
      </Field>
      <Field label="Currency" hint="Three letters, such as EUR." required>
        <Input value={currency} onChange={(value) => setCurrency(value.toUpperCase())} maxLength={3} />
      </Field>
      <Field label="Balance" required>
        <Input value={currentBalance} onChange={setBalance} inputMode="decimal" />
      </Field>
      <Field label="Threshold" hint="Below it, an event is sent." required>
        <Input value={threshold} onChange={setThreshold} inputMode="decimal" />
      </Field>
    </Dialog>
  );
}

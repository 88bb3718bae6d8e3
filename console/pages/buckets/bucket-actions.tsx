import type { CreateTransferBucket, TransferBucket } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { transferBucket } from "../../forms/transfer-bucket.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { ask, Dialog, Input, Menu, type MenuEntry, toast } from "../../ui/index.ts";

const onDone = () => invalidate("/transfer-buckets");

export function BucketMenu({ bucket }: { readonly bucket: TransferBucket }) {
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

/** Amounts stay texts: a number would lose digits. */
function amount(name: "currentBalance" | "threshold", label: string): FieldOf<CreateTransferBucket> {
  return {
    name,
    label,
    as: (value = "", change) => <Input value={String(value)} onChange={change} inputMode="decimal" />,
  };
}

const SHOWN: readonly FieldOf<CreateTransferBucket>[] = [
  { name: "name", autoFocus: true },
  {
    name: "currency",
    as: (value = "", change) => <Input value={value} onChange={(code) => change(code.toUpperCase())} />,
  },
  amount("currentBalance", "Balance"),
  amount("threshold", "Threshold"),
];

export function NewBucket() {
  const form = useResource<CreateTransferBucket, TransferBucket>(transferBucket, { start: { currency: "EUR" } });
  const create = async () => (await form.send()) !== undefined;
  return (
    <Dialog title="New bucket" size="sm" onSubmit={create} action="Create bucket">
      <Fields of={form} show={SHOWN} />
    </Dialog>
  );
}

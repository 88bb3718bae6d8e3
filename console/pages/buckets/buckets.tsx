import type { TransferBucket } from "../../../src/client/api-types.gen.ts";
import { searchFilter, segmentFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { can } from "../../app/session.ts";
import { Badge, type Column, choices, plural, Time, UserText } from "../../ui/index.ts";
import { BucketMenu, NewBucket } from "./bucket-actions.tsx";

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

const FILTERS = {
  q: searchFilter("Search buckets", "Name"),
  state: segmentFilter("State", choices({ "": "All", below: "Below threshold", ok: "Enough" })),
};
const EMPTY = {
  title: "No balance is watched",
  text: "A bucket sends an event when its balance falls below the threshold.",
};

function subtitleOf(buckets: readonly TransferBucket[] = []): string {
  const below = buckets.filter((bucket) => bucket.state === "below").length;
  if (below === 0) return "Every balance is above its threshold.";
  return `${plural(below, "balance is", "balances are")} below the threshold.`;
}

/** Balances that are watched against a threshold. */
export default function Buckets() {
  const list = useListOf<TransferBucket>("/transfer-buckets", FILTERS);
  return (
    <ListPage<TransferBucket>
      of={list}
      title="Transfer buckets"
      subtitle={subtitleOf(list.items)}
      noun="bucket"
      managedAs="buckets"
      columns={COLUMNS}
      make={can("buckets:balance") ? () => <NewBucket /> : undefined}
      rowTone={(bucket) => (bucket.state === "below" ? "bad" : undefined)}
      rowActions={(bucket) => <BucketMenu bucket={bucket} />}
      empty={EMPTY}
    />
  );
}

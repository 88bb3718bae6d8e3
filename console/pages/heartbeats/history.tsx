import type { HeartbeatFlip, HeartbeatPing } from "../../../src/client/api-types.gen.ts";
import { api, errorText } from "../../app/api.ts";
import { type ListResult, useList, useQuery } from "../../app/query.ts";
import {
  Badge,
  Card,
  CodeBlock,
  type Column,
  DataTable,
  Dialog,
  Duration,
  EmptyState,
  openDialog,
  Skeleton,
  Time,
  Timeline,
  UserText,
} from "../../ui/index.ts";
import { PING, STATUS } from "./heartbeat-types.ts";

const COLUMNS: readonly Column<HeartbeatPing>[] = [
  { label: "#", cell: ({ n }) => <span class="num muted">{n}</span>, width: "min", priority: 2 },
  { label: "Time", cell: ({ at }) => <Time at={at} />, card: "title" },
  {
    label: "Ping",
    cell: ({ kind, exitStatus }) => (
      <Badge tone={PING[kind].tone}>{exitStatus === null ? PING[kind].text : `exit ${exitStatus}`}</Badge>
    ),
    card: "aside",
    width: "min",
  },
  {
    label: "Took",
    cell: ({ durationMs }) => (durationMs === null ? <span class="faint">—</span> : <Duration ms={durationMs} />),
    align: "end",
  },
  {
    label: "From",
    cell: ({ address, method, scheme, userAgent }) => (
      <span title={userAgent}>
        <UserText lines={1}>
          {[scheme === "alert" ? "alert" : method, address, userAgent].filter(Boolean).join(" · ")}
        </UserText>
      </span>
    ),
    card: "text",
    priority: 2,
  },
  {
    label: "Body",
    cell: ({ hasBody }) => (hasBody ? <span class="nowrap">show</span> : <span class="faint">—</span>),
    width: "min",
  },
];

/** The last pings; Enter shows the body of one. */
export function Pings({ id }: { readonly id: string }) {
  const list = useList<HeartbeatPing>(`/heartbeats/${id}/pings`, { limit: 20 });
  return (
    <Card title="Pings" sub="The last 100 are kept." flush>
      <DataTable<HeartbeatPing>
        bare
        dense
        label="Pings"
        list={list}
        rowKey={({ n }) => String(n)}
        columns={COLUMNS}
        onOpen={({ n, hasBody }) => hasBody && openDialog(<BodyDialog id={id} n={n} />)}
        empty={<EmptyState small title="No ping yet" text="Call the ping URL; the ping appears here." />}
      />
    </Card>
  );
}

function BodyDialog({ id, n }: { readonly id: string; readonly n: number }) {
  const path = `/heartbeats/${id}/pings/${n}/body`;
  const { data, error } = useQuery<string>(path, async () => (await api.blob(path)).text());
  return (
    <Dialog title={`Body of ping ${n}`} size="lg">
      {error && <p class="text-bad">{errorText(error)}</p>}
      {!error && (data === undefined ? <Skeleton kind="text" /> : <CodeBlock text={data} wrap label="Body" />)}
    </Dialog>
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ping: "a ping arrived",
  fail: "it reported a failure",
  timeout: "the ping did not come in time",
  "run-too-long": "the run did not end in time",
  pause: "it was paused",
  resume: "it was resumed",
};

const SHOWN = 10;

/** Changes of the status. @param list the latest first */
export function Flips({ list }: { readonly list: ListResult<HeartbeatFlip> }) {
  return (
    <Card title="Changes">
      {list.items?.length === 0 ? (
        <p class="muted small">The state has not changed yet.</p>
      ) : (
        <Timeline
          label="Changes of the state"
          items={(list.items ?? []).slice(0, SHOWN).map(({ id: key, at, to, reason }) => ({
            key,
            tone: STATUS[to].tone,
            time: <Time at={at} />,
            title: STATUS[to].text,
            sub: REASONS[reason] ?? reason,
          }))}
        />
      )}
    </Card>
  );
}

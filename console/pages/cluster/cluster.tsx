import { Network } from "lucide";
import { useEffect } from "preact/hooks";
import type {
  Cluster,
  ClusterBackup,
  ClusterComparison,
  ClusterDrill,
  ClusterNode,
  ClusterTakeOver,
} from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { SERVER_URL } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Banner,
  Button,
  Card,
  type Column,
  confirm,
  DataTable,
  DescriptionList,
  Duration,
  EmptyState,
  formatBytes,
  formatDuration,
  formatNumber,
  formatRelative,
  Link,
  Num,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";

interface State {
  readonly mode: "single" | "cluster" | "no-leader";
  readonly cluster: Cluster | null;
}

const POLL_MS = 5000;
const MOST_SKEW_MS = 500;
const ROLES = { leader: "leads", follower: "follows", standby: "follows only" } as const;

const COLUMNS: readonly Column<ClusterNode>[] = [
  { label: "Node", cell: ({ name }) => <UserText>{name}</UserText>, card: "title", width: "wide" },
  { label: "State", cell: (node) => <NodeBadge node={node} />, card: "aside" },
  { label: "Not applied", cell: (node) => <Lag node={node} />, align: "end" },
  { label: "Clock", cell: ({ role, skewMs }) => (role === "leader" ? "—" : <Skew ms={skewMs} />), align: "end" },
  { label: "Version", cell: ({ version }) => <span class="mono">{version}</span>, priority: 2 },
  { label: "Heard", cell: ({ role, heardAt }) => (role === "leader" ? "—" : <Time at={heardAt} />), align: "end" },
  { label: "Address", cell: ({ advertise }) => <UserText>{advertise}</UserText>, priority: 3 },
];

function NodeBadge({ node: { role, live } }: { readonly node: ClusterNode }) {
  if (!live) return <Badge tone="bad">gone</Badge>;
  return <Badge tone={role === "leader" ? "ok" : "plain"}>{ROLES[role]}</Badge>;
}

function Lag({ node: { role, lagRecords, lagMs } }: { readonly node: ClusterNode }) {
  if (role === "leader") return <>—</>;
  if (lagRecords === 0) return <>nothing</>;
  return (
    <span class="nowrap">
      <Num n={lagRecords} /> in <Duration ms={lagMs} />
    </span>
  );
}

function Skew({ ms }: { readonly ms: number }) {
  const text = formatDuration(ms);
  return Math.abs(ms) > MOST_SKEW_MS ? <Badge tone="warn">{text}</Badge> : <span class="nowrap">{text}</span>;
}

/** Several machines with the same data: which node leads, and whether another one can take over. */
export default function ClusterPage() {
  const query = useGet<State>("/cluster");
  const state = query.data;
  useEffect(() => {
    if (state?.mode === "single") return;
    const timer = setInterval(() => query.reload(), POLL_MS);
    return () => clearInterval(timer);
  }, [state?.mode]);
  if (state?.mode === "single") return <SingleServer />;
  if (state?.mode === "no-leader") return <NoLeader />;
  const cluster = state?.cluster ?? undefined;
  const ready = cluster?.nodes.filter(canLead) ?? [];
  const stepDown = async (to?: string) => {
    const text = "Requests wait for about a second, and live connections open again. The node that leads now follows.";
    const title = to === undefined ? "Let another node lead?" : `Let ${to} lead?`;
    if (!(await confirm({ title, text, action: "Step down" }))) return;
    const step = await api.post<{ to: string }>("/cluster/step-down", to === undefined ? {} : { to });
    toast.ok(`${step.to} leads next.`);
    query.reload();
  };
  const compare = async () => {
    const { nodes } = await api.post<ClusterComparison>("/cluster/compare");
    const others = nodes.filter(({ result }) => result !== "equal");
    if (others.length === 0) toast.ok("The tables of all nodes are equal.");
    else toast.error(others.map(comparedText).join(" "));
    query.reload();
  };
  return (
    <Page
      title="Cluster"
      subtitle={cluster && subtitleOf(cluster, ready.length)}
      actions={
        <>
          <Button disabled={(cluster?.nodes.length ?? 0) < 2} onClick={compare}>
            Compare
          </Button>
          <Button disabled={ready.length === 0} onClick={() => stepDown()}>
            Step down
          </Button>
        </>
      }
    >
      {cluster?.warnings.map((warning) => (
        <Banner key={warning} tone="warn" title={warning} />
      ))}
      <DataTable<ClusterNode>
        label="Nodes"
        rows={cluster?.nodes}
        rowKey={({ name }) => name}
        columns={COLUMNS}
        rowActions={(node) =>
          canLead(node) ? (
            <Button small onClick={() => stepDown(node.name)}>
              Let it lead
            </Button>
          ) : null
        }
        loading={query.loading}
        error={query.error}
        retry={query.reload}
      />
      {cluster && <ClusterFacts cluster={cluster} />}
      {cluster && <ClusterData cluster={cluster} />}
      {cluster?.nodes.some(({ live }) => !live) && <MissingNode />}
    </Page>
  );
}

function canLead({ role, live }: ClusterNode): boolean {
  return role === "follower" && live;
}

function subtitleOf({ leader }: Cluster, ready: number): string {
  const next = ready === 0 ? "no other node can take over" : `${plural(ready, "other node")} can take over`;
  return `${leader} leads; ${next}.`;
}

function ClusterFacts({ cluster: { term, log, takeOver, drill } }: { readonly cluster: Cluster }) {
  const reachable = log?.servers.filter(({ isReachable }) => isReachable).length ?? 0;
  const servers = log && log.servers.length > 0 ? `, ${reachable} of ${plural(log.servers.length, "nats-server")}` : "";
  return (
    <Card title="Log and take-overs">
      <DescriptionList
        items={[
          { label: "Last take-over", value: takeOver === null ? "none yet" : takeOverText(takeOver) },
          { label: "Last drill", value: drill === null ? <NoDrill /> : drillText(drill) },
          { label: "Leaders so far", value: formatNumber(term) },
          {
            label: "Log",
            value:
              log === null
                ? "its servers do not answer"
                : `records ${formatNumber(log.first)} to ${formatNumber(log.last)}${servers}`,
          },
        ]}
      />
    </Card>
  );
}

function NoDrill() {
  return (
    <>
      never tried: <code>prism drill --takeover</code>
    </>
  );
}

const DAY_MS = 86_400_000;

function drillText({ from, withoutLeaderMs, startedAt }: ClusterDrill): string {
  const lost = withoutLeaderMs === null ? "no node has led since" : formatDuration(withoutLeaderMs);
  const days = Math.floor((Date.now() - Date.parse(startedAt)) / DAY_MS);
  const ago = days > 0 ? `${plural(days, "day")} ago` : formatRelative(startedAt);
  return `machine lost (${from}): ${lost}, ${ago}`;
}

function takeOverText({ kind, from, withoutLeaderMs, at }: ClusterTakeOver): string {
  const what = kind === "lost" ? `machine lost (${from})` : `handed over by ${from}`;
  return `${what}: ${formatDuration(withoutLeaderMs)} without a leader, ${formatRelative(at)}`;
}

/** Whether the nodes have the same data, and what else has it. */
function ClusterData({ cluster: { comparison, backup, leader } }: { readonly cluster: Cluster }) {
  return (
    <Card title="Data">
      <DescriptionList
        items={[
          { label: "Last comparison", value: comparison === null ? "never compared" : comparisonText(comparison) },
          {
            label: "Newest backup",
            value: backup === null ? `none on the machine of ${leader}` : <Backup {...backup} />,
          },
        ]}
      />
    </Card>
  );
}

function comparisonText({ at, rows, nodes }: ClusterComparison): string {
  const others = nodes.filter(({ result }) => result !== "equal");
  const result = others.length === 0 ? `all nodes equal (${plural(rows, "row")})` : others.map(comparedText).join(" ");
  return `${formatRelative(at)}: ${result}`;
}

function comparedText({ name, result, tables }: ClusterComparison["nodes"][number]): string {
  return result === "differs" ? `${name} differs in ${tables.join(", ")}.` : `${name} did not answer.`;
}

function Backup({ at, bytes, file }: ClusterBackup) {
  return (
    <>
      <Time at={at} />, {formatBytes(bytes)}, <span class="mono">{file}</span>
    </>
  );
}

function MissingNode() {
  return (
    <Card title="When a node is missing" sub="Until it is back, fewer nodes can take over: with two, none.">
      <ol>
        <li>See whether its machine runs and reaches the nats-servers.</li>
        <li>
          On it, read the log of Prism: <code>journalctl -u prism -n 100</code>
        </li>
        <li>Start Prism there. It reads what it missed, or copies the database from the leader.</li>
        <li>If its disk is lost, start Prism there with an empty data directory and the same settings.</li>
      </ol>
      <DocsLink />
    </Card>
  );
}

/** What a node shows that pages people from a copy of its database. */
function NoLeader() {
  return (
    <Page title="Cluster" subtitle="No node leads.">
      <Banner tone="bad" title="No node leads: this one pages people from a copy of its database" />
      <Card title="What to do" sub="Alerts, pings and acknowledgements are kept for the next leader.">
        <ol>
          <li>See which nats-servers run: most of them must reach each other.</li>
          <li>
            On a machine of a node: <code>prism doctor</code> and <code>journalctl -u prism -n 100</code>
          </li>
          <li>Once a node leads, this page shows the nodes again.</li>
        </ol>
        <DocsLink />
      </Card>
    </Page>
  );
}

function SingleServer() {
  return (
    <Page title="Cluster" subtitle="This server works alone.">
      <EmptyState
        icon={Network}
        title="A second machine can take over"
        text="In a cluster one node leads and another one follows. When the leader's machine is lost, the other one goes on within seconds, and nothing that was acknowledged is lost. It needs two machines for Prism and three for nats-server."
        action={<DocsLink />}
      />
    </Page>
  );
}

function DocsLink() {
  return (
    <Link href={`${SERVER_URL}/docs/cluster`} external>
      How a cluster works
    </Link>
  );
}

import { Pause, Play } from "lucide";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import {
  Badge,
  Banner,
  Button,
  Card,
  confirm,
  DescriptionList,
  Duration,
  Field,
  Form,
  formatDuration,
  formatRelative,
  Input,
  Menu,
  MultiCombobox,
  Page,
  plural,
  Switch,
  Tabs,
  Textarea,
  Time,
  toast,
} from "../../ui/index.ts";
import { Badges } from "./badges.tsx";
import { type PingFilters, planOf, STATUS, titleOf } from "./heartbeat-types.ts";
import { Flips, Pings } from "./history.tsx";
import { HowTo } from "./how-to.tsx";
import { useHeartbeatsLive } from "./live.ts";
import { FedByField, type Plan, PlanForm, planBody } from "./plan-form.tsx";

export default function HeartbeatPage({ params }: PageProps) {
  const query = useGet<Heartbeat>(`/heartbeats/${params["id"]}`);
  useHeartbeatsLive();
  return (
    <LoadedPage title="Heartbeat" query={query}>
      {(heartbeat) => <HeartbeatView heartbeat={heartbeat} />}
    </LoadedPage>
  );
}

function HeartbeatView({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const [tab] = useQueryState("tab", "overview");
  const { id, status, pingUrl } = heartbeat;
  const isWriter = pingUrl !== null;
  const tabs = [
    { value: "overview", label: "Overview", href: href(`/heartbeats/${id}`) },
    { value: "settings", label: "Settings", href: href(`/heartbeats/${id}?tab=settings`) },
  ];
  return (
    <Page
      title={titleOf(heartbeat)}
      subtitle={subtitleOf(heartbeat)}
      breadcrumb={[{ label: "Heartbeats", href: href("/heartbeats") }]}
      badge={<Badge {...STATUS[status]} />}
      tabs={isWriter ? <Tabs label="Heartbeat" value={tab} tabs={tabs} /> : undefined}
      actions={isWriter ? <Actions heartbeat={heartbeat} /> : undefined}
    >
      {tab === "settings" && isWriter ? <Settings heartbeat={heartbeat} /> : <Overview heartbeat={heartbeat} />}
    </Page>
  );
}

function subtitleOf({ status, lastPingAt, nextPingAt, dueAt, isStarted }: Heartbeat): string {
  switch (status) {
    case "new":
      return "It waits for its first ping.";
    case "paused":
      return "It is paused: nothing is expected.";
    case "down":
      return `It is down; the last ping came ${lastPingAt === null ? "never" : formatRelative(lastPingAt)}.`;
    case "grace":
      return `The ping is late${dueAt === null ? "" : `; it goes down ${formatRelative(dueAt)}`}.`;
    default:
      if (isStarted) return "A run has started.";
      return nextPingAt === null ? "It is up." : `It is up; the next ping is due ${formatRelative(nextPingAt)}.`;
  }
}

function Overview({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { id, status, pingUrl, fedBy } = heartbeat;
  return (
    <div class="stack">
      {status === "new" && fedBy !== null && (
        <Banner tone="info" title="Waiting for the alert">
          The heartbeat is watched from the first report of an alert that matches {fedBy}, or from its first ping on.
        </Banner>
      )}
      {status === "new" && fedBy === null && pingUrl !== null && (
        <Banner tone="info" title="Call the ping URL">
          The heartbeat is watched from its first ping on. Copy a line below into the job; this page shows the ping when
          it arrives.
        </Banner>
      )}
      <div class="two">
        <div class="stack">
          {status === "new" && pingUrl !== null && <HowTo heartbeat={heartbeat} pingUrl={pingUrl} />}
          <Pings id={id} />
          {status !== "new" && pingUrl !== null && <HowTo heartbeat={heartbeat} pingUrl={pingUrl} />}
        </div>
        <div class="stack">
          <Facts heartbeat={heartbeat} />
          <Flips id={id} />
          <Badges heartbeat={heartbeat} />
        </div>
      </div>
    </div>
  );
}

function Facts({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { lastPingAt, nextPingAt, dueAt, lastDurationMs, graceMs, pingCount, tags, description, fedBy } = heartbeat;
  return (
    <Card title="State" sub={description || undefined}>
      <DescriptionList
        items={[
          { label: "Expected", value: <span class="num">{planOf(heartbeat)}</span> },
          { label: "Grace time", value: formatDuration(graceMs) },
          ...(fedBy === null ? [] : [{ label: "Fed by", value: <code>{fedBy}</code> }]),
          { label: "Last ping", value: <Time at={lastPingAt} empty="never" /> },
          { label: "Next due", value: <Time at={nextPingAt} /> },
          { label: "Goes down", value: <Time at={dueAt} /> },
          { label: "Last run took", value: lastDurationMs === null ? "—" : <Duration ms={lastDurationMs} /> },
          { label: "Pings", value: String(pingCount) },
          ...(tags.length > 0 ? [{ label: "Tags", value: tags.join(", ") }] : []),
        ]}
      />
    </Card>
  );
}

function Actions({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { id, status, pingCount } = heartbeat;
  const path = `/heartbeats/${id}`;
  const name = titleOf(heartbeat);
  const act = async (action: "pause" | "resume") => {
    await api.post(`${path}/${action}`);
    invalidate("/heartbeats");
    toast.ok(action === "pause" ? `${name} is paused.` : `${name} is watched from its next ping on.`);
  };
  const rotate = async () => {
    const text = "Jobs that call the current URL are not recorded until they have the new one.";
    if (!(await confirm({ title: "Replace the ping URL?", text, action: "Replace", danger: true }))) return;
    await api.post(`${path}/rotate`);
    invalidate("/heartbeats");
  };
  const remove = async () => {
    const text = `Its ping URL stops working; ${plural(pingCount, "ping")} and its changes are deleted. An open alert is resolved.`;
    await confirmDelete(path, { title: `Delete ${name}?`, text }, () => navigate("/heartbeats"));
  };
  // The button stands where Resume was: the second click of a double click is not meant for it.
  const pause = ({ detail }: MouseEvent) => (detail > 1 ? undefined : act("pause"));
  return (
    <span class="inline">
      {status === "paused" ? (
        <Button variant="primary" icon={Play} onClick={() => act("resume")}>
          Resume
        </Button>
      ) : (
        <Button icon={Pause} onClick={pause}>
          Pause
        </Button>
      )}
      <Menu
        label={`More for ${name}`}
        items={[
          { label: "Replace the ping URL", onSelect: rotate },
          "separator",
          { label: "Delete", onSelect: remove, danger: true },
        ]}
      />
    </span>
  );
}

function planFrom({ kind, timeoutMs, graceMs, schedule, timezone }: Heartbeat): Plan {
  return { kind, timeoutMs, graceMs, schedule: schedule ?? "", timezone };
}

function labelLines(labels: Heartbeat["labels"]): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");
}

/** The server refuses what is no name of a label. */
function labelsIn(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split("=");
      return [name.trim(), value.join("=").trim()];
    }),
  );
}

const KEYWORDS = [
  ["startKeywords", "Start keywords"],
  ["successKeywords", "Success keywords"],
  ["failureKeywords", "Failure keywords"],
] as const;

/** Meaning of a ping by words in its body. */
function FilterFields({
  filters,
  onChange,
}: {
  readonly filters: PingFilters;
  readonly onChange: (next: PingFilters) => void;
}) {
  return (
    <>
      <Switch
        label="Keywords in the body decide"
        hint="They replace the meaning of the URL; texts are separated by commas, case counts."
        checked={filters.httpBody === true}
        onChange={(httpBody) => onChange({ ...filters, httpBody })}
      />
      {filters.httpBody === true && (
        <>
          {KEYWORDS.map(([key, label]) => (
            <Field key={key} label={label} optional>
              <Input
                value={filters[key] ?? ""}
                onChange={(text) => onChange({ ...filters, [key]: text })}
                maxLength={200}
              />
            </Field>
          ))}
          <Switch
            label="A ping without a keyword is a failure"
            checked={filters.defaultFail === true}
            onChange={(defaultFail) => onChange({ ...filters, defaultFail })}
          />
        </>
      )}
    </>
  );
}

function draftOf(heartbeat: Heartbeat) {
  const { name, slug, description, manualResume, filters } = heartbeat;
  return {
    ...{ name, slug, description, manualResume, filters },
    tags: heartbeat.tags,
    channels: heartbeat.channels,
    severity: heartbeat.severity ?? "",
    isPostOnly: heartbeat.methods === "POST",
    fedBy: heartbeat.fedBy ?? "",
    labels: labelLines(heartbeat.labels),
    plan: planFrom(heartbeat),
  };
}

function Settings({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { values: draft, change, saved } = useEdits(draftOf(heartbeat));
  const { bind, flag } = controlsOf(draft, change);
  const save = async () => {
    const { severity, fedBy, isPostOnly, labels, plan, ...others } = draft;
    const answer = await api.patch<Heartbeat>(`/heartbeats/${heartbeat.id}`, {
      ...others,
      severity: severity === "" ? null : severity,
      fedBy: fedBy === "" ? null : fedBy,
      methods: isPostOnly ? "POST" : "",
      labels: labelsIn(labels),
      ...planBody(plan),
    });
    saved(draftOf(answer));
    invalidate("/heartbeats");
    toast.ok("Saved.");
  };
  return (
    <Form onSubmit={save} label="Heartbeat">
      <div class="two">
        <Card title="When pings are expected">
          <div class="stack">
            <PlanForm plan={draft.plan} projectId={heartbeat.projectId} onChange={(plan) => change({ plan })} />
            <FedByField {...bind("fedBy")} />
          </div>
        </Card>
        <Card title="Heartbeat">
          <div class="stack">
            <Field label="Name">
              <Input {...bind("name")} maxLength={100} />
            </Field>
            <Field label="Slug" hint="In URLs with the project's ping key: a-z, 0-9, - and _.">
              <Input {...bind("slug")} maxLength={100} mono />
            </Field>
            <Field label="Description" optional>
              <Textarea {...bind("description")} rows={2} maxLength={2000} />
            </Field>
            <Field label="Tags" optional>
              <MultiCombobox values={draft.tags} onChange={(tags) => change({ tags })} custom />
            </Field>
            <Field label="Severity" hint="Of the alert that it opens." optional>
              <Input {...bind("severity")} maxLength={50} placeholder="critical" />
            </Field>
            <Switch
              label="Only POST counts"
              hint="Links that mail scanners open are ignored."
              {...flag("isPostOnly")}
            />
            <Switch label="A ping does not end a pause" {...flag("manualResume")} />
            <Field label="Labels" hint="Of its alert, for routes and silences: name=value, one per line." optional>
              <Textarea {...bind("labels")} rows={2} mono />
            </Field>
            <Field label="Policies" hint="Names, as the alert's label channels." optional>
              <MultiCombobox values={draft.channels} onChange={(channels) => change({ channels })} custom />
            </Field>
            <FilterFields filters={draft.filters} onChange={(filters) => change({ filters })} />
          </div>
        </Card>
      </div>
      <SubmitButton>Save</SubmitButton>
    </Form>
  );
}

import { Download } from "lucide";
import { useState } from "preact/hooks";
import type { AuditRow, AuditVerification } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { findUsers, type Named, personName } from "../../app/people.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useGet, useList } from "../../app/query.ts";
import { saveFile } from "../../app/save-file.ts";
import { can, me } from "../../app/session.ts";
import {
  Banner,
  Button,
  Code,
  type Column,
  Combobox,
  DataTable,
  DateTimeInput,
  DescriptionList,
  Drawer,
  EmptyState,
  formatNumber,
  openDialog,
  Page,
  SearchInput,
  Switch,
  Time,
  Toolbar,
  UserText,
  useClose,
} from "../../ui/index.ts";

const COLUMNS: readonly Column<AuditRow>[] = [
  { label: "Action", cell: ({ action }) => <span class="mono nowrap">{action}</span>, card: "title" },
  {
    label: "By",
    cell: (row) => (
      <span class="nowrap">
        <Actor row={row} />
      </span>
    ),
  },
  { label: "On", cell: (row) => <Resource row={row} />, priority: 2, card: "text", width: "wide" },
  { label: "Address", cell: ({ ip }) => <span class="mono nowrap">{ip ?? ""}</span>, priority: 3, card: "hide" },
  { label: "Time", cell: ({ timestamp }) => <Time at={timestamp} />, align: "end", card: "aside" },
];

const PATHS: Readonly<Record<string, string>> = {
  user: "/people",
  rule: "/rules",
  project: "/projects",
  policy: "/policies",
  heartbeat: "/heartbeats",
  silence: "/silences",
  incident: "/incidents",
  alert: "/alerts",
  receiver: "/connect/receivers",
  channel: "/connect/channels",
  oncall_schedule: "/oncall",
  schedule: "/schedules",
  job: "/jobs",
  message: "/messages",
  notification: "/inbox",
};

/** The changed thing by its name, with a link where it has a page. */
function Resource({ row: { resourceType, resourceId, resourceName } }: { readonly row: AuditRow }) {
  if (resourceType === null) return <span class="faint">—</span>;
  const kind = resourceType.replaceAll("_", " ");
  if (resourceId === null) return <span>{kind}</span>;
  const isId = /^[0-9a-f-]{36}$/.test(resourceId);
  const name =
    resourceName === null && isId ? <span class="mono">{resourceId.slice(-12)}</span> : (resourceName ?? resourceId);
  const text = typeof name === "string" ? <UserText lines={1}>{name}</UserText> : name;
  const path = PATHS[resourceType];
  return (
    <span class="audit-on">
      <span class="muted">{kind}</span>
      {path !== undefined && isId && resourceName !== null ? <a href={href(`${path}/${resourceId}`)}>{text}</a> : text}
    </span>
  );
}

function Actor({ row }: { readonly row: AuditRow }) {
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

/** Finds actions by the beginning that a person types. */
function beginning(text: string): string {
  const found = /[a-z_]+(\.[a-z_]*)?/.exec(text.toLowerCase())?.[0];
  return found === undefined ? "" : `${found}*`;
}

/** Who did what, in a chain of hashes. */
export default function Audit() {
  const filters = useFilters({ action: "", userId: "", resource: "", from: "", to: "", notifications: "" });
  const [verified, setVerified] = useState<AuditVerification>();
  const { resource, notifications, ...others } = filters.values;
  // A search by name finds them, whatever the switch says.
  const isWithNotifications = notifications !== "" || resource !== "" || others.action.startsWith("notification");
  const filter = {
    ...others,
    action: beginning(others.action),
    resourceId: resource,
    ...(isWithNotifications ? {} : { notifications: false }),
  };
  const list = useList<AuditRow>("/audit", { ...filter, limit: 50 });
  const verify = async () => setVerified(await api.get<AuditVerification>("/audit/verify"));
  const download = async () => saveFile(await api.blob("/audit/export", filter, "text/csv"), "audit.csv");
  return (
    <Page
      title="Audit"
      subtitle="Every change and sign-in, in a chain of hashes that reveals later changes."
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
        <SearchInput {...filters.bind("action")} placeholder="Action, such as rule" label="Action" />
        {can("users:read") && <PersonFilter {...filters.bind("userId")} />}
        <Switch
          label="Notifications"
          checked={isWithNotifications}
          disabled={notifications === "" && isWithNotifications}
          onChange={(isOn) => filters.set({ notifications: isOn ? "shown" : "" })}
        />
        <DateTimeInput {...filters.bind("from")} label="From" />
        <DateTimeInput {...filters.bind("to")} label="To" />
        {resource !== "" && <Button onClick={() => filters.set({ resource: "" })}>All resources</Button>}
      </Toolbar>
      <DataTable<AuditRow>
        label="Audit trail"
        list={list}
        columns={COLUMNS}
        onOpen={(row) => openDialog(<RowDialog row={row} onOnly={(id) => filters.set({ resource: id })} />)}
        empty={
          <EmptyState
            title="No entry matches"
            text="Change the filters. An action is found by its beginning, such as rule or auth.login."
          />
        }
      />
    </Page>
  );
}

function VerifyResult({ result, onDismiss }: { readonly result: AuditVerification; readonly onDismiss: () => void }) {
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

/** Everything that one person did. */
function PersonFilter({ value, onChange }: { readonly value: string; readonly onChange: (id: string) => void }) {
  const person = useGet<Named>(value === "" ? null : `/users/${value}`).data;
  return (
    <Combobox
      label="By"
      placeholder="Anyone"
      value={value}
      onChange={onChange}
      options={person ? [{ value, label: personName(person) }] : []}
      load={findUsers}
      clearable
    />
  );
}

interface DetailProps {
  readonly row: AuditRow;
  /** Shows the rows of one resource. */
  readonly onOnly: (resourceId: string) => void;
}

function RowDialog({ row, onOnly }: DetailProps) {
  const { resourceId } = row;
  const close = useClose();
  const showOnly = (id: string) => {
    close();
    onOnly(id);
  };
  return (
    <Drawer title={row.action}>
      <DescriptionList
        items={[
          { label: "Number", value: formatNumber(row.seq) },
          { label: "Time", value: <Time at={row.timestamp} mode="full" /> },
          { label: "By", value: <Actor row={row} /> },
          { label: "On", value: <Resource row={row} /> },
          { label: "Id", value: <span class="mono">{resourceId ?? "none"}</span> },
          { label: "Address", value: row.ip ?? "none" },
          { label: "Request", value: <span class="mono">{row.requestId ?? "none"}</span> },
          { label: "Hash", value: <span class="mono">{row.hash}</span> },
        ]}
      />
      {resourceId !== null && (
        <div>
          <Button small onClick={() => showOnly(resourceId)}>
            Everything that happened to it
          </Button>
        </div>
      )}
      <Code label="Details" value={row.metadata} />
      <Code label="Actor" value={row.actor} />
    </Drawer>
  );
}

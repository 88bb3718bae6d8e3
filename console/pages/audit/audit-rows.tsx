import type { AuditRow } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { PersonName } from "../../app/person-name.tsx";
import { me } from "../../app/session.ts";
import {
  Button,
  Code,
  type Column,
  DescriptionList,
  Drawer,
  formatNumber,
  Time,
  UserText,
  useClose,
} from "../../ui/index.ts";
import { actionWords } from "./audit-words.ts";

export const COLUMNS: readonly Column<AuditRow>[] = [
  { label: "Action", cell: ({ action }) => <Action code={action} />, card: "title" },
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

/** In words, with the code by which it is filtered. */
function Action({ code }: { readonly code: string }) {
  return (
    <span class="audit-action">
      <span>{actionWords(code)}</span>
      <span class="mono muted small">{code}</span>
    </span>
  );
}

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
  const kind = resourceType.replace(/_|(?=[A-Z])/g, " ").toLowerCase();
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

interface DetailProps {
  readonly row: AuditRow;
  /** Shows the rows of one resource. */
  readonly onOnly: (resourceId: string) => void;
}

/** All of a row. */
export function RowDialog({ row, onOnly }: DetailProps) {
  const { resourceId } = row;
  const close = useClose();
  const showOnly = (id: string) => {
    close();
    onOnly(id);
  };
  return (
    <Drawer title={actionWords(row.action)}>
      <DescriptionList
        items={[
          { label: "Action", value: <span class="mono">{row.action}</span> },
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

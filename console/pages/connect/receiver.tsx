import { Pause, Play, Trash2 } from "lucide";
import { useState } from "preact/hooks";
import type { IssuedReceiver, Receiver, ReceiverPreset } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { LockedForm, ManagedBadge, ManagedNotice } from "../../app/managed.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet, useList } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import {
  Badge,
  Button,
  Card,
  CodeBlock,
  type Column,
  confirm,
  DataTable,
  Dialog,
  EmptyState,
  formatRelative,
  Link,
  Menu,
  openDialog,
  Page,
  Secret,
  SecretDialog,
  Time,
  toast,
  UserText,
  useClose,
} from "../../ui/index.ts";
import { docsUrl, type LoggedRequest, outcomeText, RESULTS } from "./connect-types.ts";
import { ForwardBadge, openForward, useMayForward } from "./forward.tsx";
import { MappingEditor } from "./mapping-editor.tsx";
import { NotifyField, saveNotify } from "./notify-field.tsx";

/** Requests are not announced by a stream. */
const POLL_MS = 5000;

export default function ReceiverPage({ params }: PageProps) {
  const query = useGet<Receiver>(`/receivers/${encodeURIComponent(params["id"] ?? "")}`);
  const presets = useGet<{ readonly data: readonly ReceiverPreset[] }>("/receivers/presets");
  return (
    <LoadedPage title="Receiver" query={query} besides={[presets]} managedAs="receivers">
      {(receiver) => (
        <ReceiverView receiver={receiver} preset={presets.data?.data.find(({ name }) => name === receiver.preset)} />
      )}
    </LoadedPage>
  );
}

interface ViewProps {
  readonly receiver: Receiver;
  readonly preset: ReceiverPreset | undefined;
}

function ReceiverView({ receiver, preset }: ViewProps) {
  const { name, active, lastRequestAt, hasSecret } = receiver;
  const isWriter = canInProject("receivers:write") === true;
  const last = lastRequestAt === null ? "no request yet" : `last request ${formatRelative(lastRequestAt)}`;
  return (
    <Page
      title={name}
      subtitle={`${preset?.title ?? receiver.preset}${hasSecret ? ", with a secret" : ""}; ${last}.`}
      breadcrumb={[{ label: "Connect", href: href("/connect") }]}
      badge={
        <>
          <Badge tone={active ? "ok" : "warn"}>{active ? "on" : "paused"}</Badge>
          <ForwardBadge of={receiver} />
          <ManagedBadge kind="receivers" id={receiver.id} />
        </>
      }
      actions={isWriter ? <Actions receiver={receiver} /> : undefined}
    >
      {isWriter ? (
        <Editable receiver={receiver} preset={preset} />
      ) : (
        <EmptyState title="Its requests are shown to those who may change it" />
      )}
    </Page>
  );
}

function Actions({ receiver }: { readonly receiver: Receiver }) {
  const { id, name, active, projectId } = receiver;
  const mayForward = useMayForward()(projectId);
  const path = `/receivers/${id}`;
  const toggle = async () => {
    await api.post(`${path}/${active ? "pause" : "resume"}`);
    invalidate("/receivers");
    toast.ok(active ? "Requests are refused until it is resumed." : "Requests are accepted again.");
  };
  const rotate = async () => {
    const text = "Requests to the current URL are refused at once: the sender needs the new one.";
    if (!(await confirm({ title: "Replace the URL?", text, action: "Replace", danger: true }))) return;
    const { url, mailAddress } = await api.post<IssuedReceiver>(`${path}/rotate`);
    const hint = "It is a credential and is shown only now.";
    openDialog(
      <SecretDialog title="New URL" label="URL" size="md" value={url} hint={hint}>
        {mailAddress != null && <Secret label="Mail address" value={mailAddress} />}
      </SecretDialog>,
    );
    invalidate("/receivers");
  };
  const remove = async () => {
    const text = "Its URL stops working and its log is deleted. Its events and alerts stay.";
    await confirmDelete(path, { title: `Delete ${name}?`, text }, () => navigate("/connect"));
  };
  return (
    <span class="inline">
      <Button icon={active ? Pause : Play} onClick={toggle}>
        {active ? "Pause" : "Resume"}
      </Button>
      <Menu
        label={`More for ${name}`}
        items={[
          { label: "Replace the URL", onSelect: rotate },
          ...(mayForward
            ? [
                {
                  label: "Pass requests on",
                  onSelect: () => openForward("receivers", receiver, () => invalidate("/receivers")),
                },
              ]
            : []),
          "separator",
          { label: "Delete", icon: Trash2, danger: true, onSelect: remove },
        ]}
      />
    </span>
  );
}

const COLUMNS: readonly Column<LoggedRequest>[] = [
  { label: "Time", cell: ({ at }) => <Time at={at} />, card: "title", width: "min" },
  {
    label: "Result",
    cell: ({ result }) => <Badge {...RESULTS[result]} />,
    card: "aside",
    width: "min",
  },
  {
    label: "Outcome",
    cell: (request) => <UserText lines={1}>{outcomeText(request)}</UserText>,
    card: "text",
    width: "wide",
  },
  { label: "Answer", cell: ({ status }) => <span class="num">{status}</span>, align: "end", priority: 2 },
];

function Editable({ receiver, preset }: ViewProps) {
  const { id } = receiver;
  const [triedId, setTried] = useState("");
  const list = useList<LoggedRequest>(`/receivers/${id}/requests`, { limit: 20 });
  useRefresh(list.reload, POLL_MS, POLL_MS);
  return (
    <div class="stack">
      <ManagedNotice kind="receivers" id={id} />
      <Card
        title="Last requests"
        sub="The last 100 of seven days, without secrets."
        {...(preset ? { link: { href: docsUrl(preset), text: "Manual" } } : {})}
        flush
      >
        <DataTable<LoggedRequest>
          bare
          dense
          label="Last requests"
          list={list}
          columns={COLUMNS}
          onOpen={(request) => openDialog(<RequestDialog receiverId={id} request={request} onTry={setTried} />)}
          empty={<EmptyState small title="No request yet" text="Requests of the sender appear here." />}
        />
      </Card>
      <LockedForm kind="receivers" id={id}>
        <Card>
          <NotifyField value={receiver.notify} onChange={(notify) => saveNotify(receiver, notify)} />
        </Card>
        <MappingEditor
          receiver={receiver}
          preset={preset}
          requests={list.items ?? []}
          triedId={triedId}
          onTry={setTried}
        />
      </LockedForm>
    </div>
  );
}

interface RequestProps {
  readonly receiverId: string;
  readonly request: LoggedRequest;
  readonly onTry: (id: string) => void;
}

function RequestDialog({ receiverId, request, onTry }: RequestProps) {
  const { id, method, query, headers, body, isCut, bytes, outcome } = request;
  const close = useClose();
  const tryIt = () => {
    onTry(id);
    close();
  };
  const replay = async () => {
    const text = "It is stored again, as if it arrived now, with the saved mapping.";
    if (!(await confirm({ title: "Replay this request?", text, action: "Replay" }))) return;
    const { eventIds } = await api.post<{ readonly eventIds: readonly string[] }>(
      `/receivers/${receiverId}/requests/${id}/replay`,
    );
    invalidate("/receivers");
    const [first] = eventIds;
    toast.ok("It is stored again.", first === undefined ? {} : { href: href(`/events/${first}`), linkText: "Open" });
  };
  const [eventId] = outcome.eventIds ?? [];
  const alertId = outcome.alerts?.[0]?.alertId ?? null;
  return (
    <Dialog title="Request" size="lg">
      <p>
        <UserText>{outcomeText(request)}</UserText>{" "}
        {eventId !== undefined && <Link href={href(`/events/${eventId}`)}>Event</Link>}{" "}
        {alertId !== null && <Link href={href(`/alerts/${alertId}`)}>Alert</Link>}
      </p>
      <CodeBlock
        label="Head"
        wrap
        maxHeight={180}
        text={[
          `${method}${query === "" ? "" : ` ?${query}`}`,
          ...Object.entries(headers).map(([key, value]) => `${key}: ${value}`),
        ].join("\n")}
      />
      <CodeBlock label={isCut ? `Body, the first 64 KiB of ${bytes} bytes` : "Body"} wrap text={indented(body)} />
      <div class="inline">
        <Button variant="primary" onClick={tryIt}>
          Try with the mapping
        </Button>
        <Button onClick={replay}>Replay</Button>
      </div>
    </Dialog>
  );
}

/** JSON over several lines; other bodies as they are. */
function indented(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

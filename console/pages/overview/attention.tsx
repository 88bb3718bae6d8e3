import { useState } from "preact/hooks";
import type { Notification } from "../../../src/client/views.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { can, me } from "../../app/session.ts";
import { Attention, Button, confirm, plural, Time, toast } from "../../ui/index.ts";
import { ExplainDrawer } from "../explain/index.ts";
import { plainText } from "../explain/words.ts";
import { acknowledge } from "../inbox/inbox-actions.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { countSoon } from "../incidents/open-incidents.ts";
import type { AttentionItem, AttentionView } from "./overview-types.ts";

const SHOWN = 5;
const EVERY_MS = 2000;

/** The server counts jobs this often: what was mended may still be in its answer. */
const COUNTED_MS = 3000;

export interface AttentionState {
  /** Undefined until they are known. */
  readonly items: readonly AttentionItem[] | undefined;
  /** Hides a repaired item until the server has counted again. */
  readonly done: (key: string) => void;
}

/** What needs attention, the most severe first; reloaded after live entries that may change it. */
export function useAttention(): AttentionState {
  const query = useGet<AttentionView>("/attention");
  const [mended, setMended] = useState<readonly string[]>([]);
  const changed = useRefresh(query.reload, EVERY_MS, IDLE_MS);
  useStream("user:me", ({ type }) => type.startsWith("notification") && changed());
  useStream(can("system:status") ? "system" : null, changed);
  useAlertingChanges(changed);
  const done = (key: string) => {
    setMended((keys) => [...keys, key]);
    setTimeout(() => {
      query.change((view) => view && { ...view, items: view.items.filter((item) => item.key !== key) });
      query.reload();
      setMended((keys) => keys.filter((each) => each !== key));
    }, COUNTED_MS);
  };
  return { items: query.data?.items.filter(({ key }) => !mended.includes(key)), done };
}

export function AttentionList({ attention: { items = [], done } }: { readonly attention: AttentionState }) {
  const [isAll, setAll] = useState(false);
  const [explained, setExplained] = useState<string | null>(null);
  if (items.length === 0) return null;
  const shown = isAll ? items : items.slice(0, SHOWN);
  return (
    <section class="stack s2" aria-label="Needs attention">
      {shown.map((item) => (
        <AttentionRow key={item.key} item={item} onChange={() => done(item.key)} onExplain={setExplained} />
      ))}
      {items.length > SHOWN && (
        <div>
          <Button small variant="quiet" onClick={() => setAll(!isAll)}>
            {isAll ? "Show fewer" : `Show ${items.length - SHOWN} more`}
          </Button>
        </div>
      )}
      <ExplainDrawer
        subject={explained === null ? null : { kind: "notification", id: explained }}
        onClose={() => setExplained(null)}
      />
    </section>
  );
}

const TONES = { critical: "bad", warning: "warn", info: "info" } as const;
const TAGS: Readonly<Record<AttentionItem["kind"], string>> = {
  incident: "incident",
  notification: "critical",
  way: "delivery",
  unproven: "delivery",
  channel: "delivery",
  jobs: "jobs",
  queue: "queue",
  approvals: "people",
  module: "module",
  events: "events",
  watch: "server",
  storage: "storage",
  audit: "audit",
  config: "settings",
};

interface RowProps {
  readonly item: AttentionItem;
  readonly onChange: () => void;
  readonly onExplain: (notificationId: string) => void;
}

function AttentionRow({ item, onChange, onExplain }: RowProps) {
  const { kind, severity, detail, at, until } = item;
  const actions =
    kind === "incident" ? (
      <IncidentActions item={item} onChange={onChange} />
    ) : kind === "notification" ? (
      <NotificationActions item={item} onChange={onChange} onExplain={onExplain} />
    ) : (
      <OtherActions item={item} onChange={onChange} />
    );
  return (
    <Attention
      tone={TONES[severity]}
      tag={TAGS[kind]}
      title={titleOf(item)}
      href={href(pathOf(item))}
      {...(detail === "" ? {} : { sub: <bdi>{detail}</bdi> })}
      {...(at === null && until === null
        ? {}
        : {
            meta: (
              <>
                {at !== null && <Time at={at} />}
                {at !== null && until !== null && ", "}
                {until !== null && (
                  <>
                    next attempt <Time at={until} />
                  </>
                )}
              </>
            ),
          })}
      actions={actions}
    />
  );
}

/** Titles of the server may contain ids and start in the middle of a sentence. */
function titleOf({ kind, title }: AttentionItem): string {
  if (kind === "notification" || kind === "incident") return title;
  return kind === "config" ? title.charAt(0).toUpperCase() + title.slice(1) : plainText(title);
}

function pathOf({ kind, ids, link }: AttentionItem): string {
  if (kind === "notification") return `/inbox/${ids[0] ?? ""}`;
  return kind === "approvals" ? "/people/pending" : link;
}

function IncidentActions({ item, onChange }: { readonly item: AttentionItem; readonly onChange: () => void }) {
  const id = item.ids[0] ?? "";
  // Without the right in a project the user may act on incidents of which the user was notified.
  const isActing = canInProject("incidents:act") === true;
  const incident = useGet<{ readonly mayAct: boolean }>(isActing ? null : `/incidents/${id}`);
  const take = async () => {
    await api.post(`/incidents/${id}/acknowledge`, {});
    toast.ok(`${item.title}: acknowledged.`);
    invalidate("/incidents");
    countSoon();
    onChange();
  };
  return (
    <>
      <Button href={href(item.link)}>Show</Button>
      {(isActing || incident.data?.mayAct) && (
        <Button variant="primary" onClick={take}>
          Acknowledge
        </Button>
      )}
    </>
  );
}

function NotificationActions({ item, onChange, onExplain }: RowProps) {
  const id = item.ids[0] ?? "";
  // Operators see the notifications of others too, but only recipients acknowledge.
  const query = useGet<Notification>(`/notifications/${id}`);
  const notification = query.data;
  const isMine = notification?.userId === me.value?.id && notification?.me.acknowledgedAt === null;
  const take = async () => {
    if (!notification) return;
    await acknowledge(notification, (next) => query.change(() => next));
    onChange();
  };
  return (
    <>
      <Button onClick={() => onExplain(id)}>Explain</Button>
      {isMine && (
        <Button variant="primary" onClick={take}>
          Acknowledge
        </Button>
      )}
      {notification && !isMine && <Button href={href(`/inbox/${id}`)}>Show</Button>}
    </>
  );
}

function OtherActions({ item, onChange }: { readonly item: AttentionItem; readonly onChange: () => void }) {
  const work = can("jobs:manage") ? workOf(item) : null;
  const run = async () => {
    if (!work || !(await work.run())) return;
    onChange();
  };
  return (
    <>
      <Button href={href(pathOf(item))}>Show</Button>
      {work && <Button onClick={run}>{work.label}</Button>}
    </>
  );
}

interface Work {
  readonly label: string;
  /** @returns false if the user cancels */
  readonly run: () => Promise<boolean>;
}

/** What an operator can do at once. */
function workOf({ kind, ids, counts, title }: AttentionItem): Work | null {
  const [name = "", target] = ids;
  const path = encodeURIComponent(name);
  switch (kind) {
    case "channel":
      return {
        label: "Retry now",
        async run() {
          const only = target === undefined || ids.length > 2 ? {} : { target };
          await api.post(`/deliveries/channels/${path}/resume`, only);
          toast.ok("The next delivery is tried now.");
          return true;
        },
      };
    case "jobs":
      return {
        label: "Retry",
        async run() {
          const dead = plural(counts["dead"] ?? 0, "dead job");
          const text = `${dead} of the queue ${name} get new attempts and run as soon as a worker is free.`;
          if (!(await confirm({ title: `Retry ${dead}?`, text, action: "Retry" }))) return false;
          await api.post(`/queues/${path}/requeue-dead`);
          toast.ok(`${dead} will run again.`);
          return true;
        },
      };
    case "queue":
      return {
        label: "Resume",
        async run() {
          await api.post(`/queues/${path}/resume`);
          toast.ok(`${title.replace(" is paused", "")} runs again.`);
          return true;
        },
      };
    default:
      return null;
  }
}

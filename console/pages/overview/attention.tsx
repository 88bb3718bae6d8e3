import { CircleCheck, Siren } from "lucide";
import { useState } from "preact/hooks";
import type { Attention as AttentionAnswer, AttentionItem, Notification } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { canInProject } from "../../app/memberships.ts";
import { useGet } from "../../app/query.ts";
import { IDLE_MS, useProjectChanges, useRefresh } from "../../app/refresh.ts";
import { can, me } from "../../app/session.ts";
import { Attention, Button, Card, confirm, EmptyState, plural, Skeleton, Time, toast } from "../../ui/index.ts";
import { plainText } from "../explain/words.ts";
import { acknowledge } from "../inbox/inbox-actions.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { notifiedText } from "../incidents/counts-text.ts";
import { acknowledge as acknowledgeIncident } from "../incidents/incident-actions.tsx";
import { notifiedElsewhere } from "../incidents/open-incidents.ts";
import { Age, severityOf } from "../incidents/severity.tsx";

const EVERY_MS = 2000;

/** The server counts jobs this often: what was mended may still be in its answer. */
const COUNTED_MS = 3000;

export interface AttentionState {
  /** Undefined until they are known. */
  readonly items: readonly AttentionItem[] | undefined;
  /** How much is watched, if there are none. */
  readonly watched: AttentionAnswer["watched"];
  readonly isFailed: boolean;
  /** Hides a repaired item until the server has counted again. */
  readonly done: (key: string) => void;
}

/** Open work, in the order of the server; reloaded after live entries that may change it. */
export function useAttention(): AttentionState {
  const query = useGet<AttentionAnswer>("/attention", { grouped: true });
  const [mended, setMended] = useState<readonly string[]>([]);
  const changed = useRefresh(query.reload, EVERY_MS, IDLE_MS);
  useStream("user:me", ({ type }) => type.startsWith("notification") && changed());
  useStream(can("system:status") ? "system" : null, changed);
  useAlertingChanges(changed);
  useProjectChanges(/^oncall\./, changed, { isExact: false });
  const done = (key: string) => {
    setMended((keys) => [...keys, key]);
    setTimeout(() => {
      query.reload();
      setMended((keys) => keys.filter((each) => each !== key));
    }, COUNTED_MS);
  };
  return {
    items: query.data?.items.filter(({ key }) => !mended.includes(key)),
    watched: query.data?.watched ?? null,
    isFailed: query.error !== undefined && query.data === undefined,
    done,
  };
}

export function AttentionList({
  attention: { items, watched, isFailed, done },
}: {
  readonly attention: AttentionState;
}) {
  if (isFailed) return null;
  if (items === undefined) return <Skeleton count={5} />;
  return (
    <section aria-label="Needs attention">
      {items.length === 0 ? (
        <Card flush>
          <NoItems watched={watched} />
        </Card>
      ) : (
        <AttentionItems items={items} done={done} />
      )}
    </section>
  );
}

function NoItems({ watched }: Pick<AttentionState, "watched">) {
  const elsewhere = notifiedElsewhere.value;
  if (elsewhere === 0)
    return <EmptyState small icon={CircleCheck} title="Nothing needs you" text={watchedText(watched)} />;
  return (
    <EmptyState
      small
      icon={Siren}
      title={notifiedText(elsewhere)}
      text="They are not of the projects that you read."
      action={<Button href={href("/incidents?mine=true")}>Show mine</Button>}
    />
  );
}

export function AttentionItems({
  items,
  done,
}: Pick<AttentionState, "done"> & { readonly items: readonly AttentionItem[] }) {
  return (
    <Card flush>
      <ul class="attentions">
        {items.map((item) => (
          <AttentionRow key={item.key} item={item} onChange={() => done(item.key)} />
        ))}
      </ul>
    </Card>
  );
}

function watchedText(watched: AttentionAnswer["watched"]): string {
  const parts =
    watched === null
      ? []
      : [
          ...(watched.rules > 0 ? [plural(watched.rules, "rule")] : []),
          ...(watched.heartbeats > 0 ? [plural(watched.heartbeats, "heartbeat")] : []),
          ...(watched.receivers > 0 ? [plural(watched.receivers, "receiver")] : []),
        ];
  const calm = "No incident is open, and no notification waits for an acknowledgement.";
  return parts.length === 0 ? calm : `${calm} Watched: ${parts.join(", ")}.`;
}

const TONES = { critical: "bad", warning: "warn", info: "info" } as const;
const TAGS: Readonly<Record<AttentionItem["kind"], string>> = {
  incident: "incident",
  incidents: "incidents",
  notification: "unseen",
  notifications: "unseen",
  way: "delivery",
  unproven: "on-call",
  channel: "delivery",
  jobs: "jobs",
  queue: "queue",
  approvals: "people",
  oncall: "on-call",
  heartbeats: "heartbeats",
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
}

function AttentionRow({ item, onChange }: RowProps) {
  const { kind, severity, word, project, at, until } = item;
  const sub = [item.detail, project ?? ""].filter((text) => text !== "").join(" · ");
  return (
    <Attention
      tone={TONES[severity]}
      tag={word ?? TAGS[kind]}
      strong={word === null ? severity === "critical" : severityOf(word) === "critical"}
      title={titleOf(item)}
      href={href(pathOf(item))}
      {...(sub === "" ? {} : { sub: <bdi>{sub}</bdi> })}
      meta={
        until !== null ? (
          <>
            next attempt <Time at={until} />
          </>
        ) : (
          at !== null && (kind === "incident" ? <Age at={at} /> : <Time at={at} />)
        )
      }
      action={<RowAction item={item} onChange={onChange} />}
    />
  );
}

function RowAction(props: RowProps) {
  const { kind } = props.item;
  if (kind === "incident") return <IncidentAction {...props} />;
  return kind === "notification" ? <NotificationAction {...props} /> : <OtherAction {...props} />;
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

function IncidentAction({ item, onChange }: RowProps) {
  const { ids, link, title } = item;
  const [id = ""] = ids;
  // Without the right in a project the user may act on incidents that they were notified of.
  const isActing = canInProject("incidents:act") === true;
  const incident = useGet<{ readonly mayAct: boolean }>(isActing ? null : `/incidents/${id}`);
  const take = async () => {
    const number = Number(/^#(\d+)/.exec(title)?.[1]);
    await acknowledgeIncident({ id, number, title });
    onChange();
  };
  return isActing || incident.data?.mayAct ? (
    <Button small onClick={take}>
      Acknowledge
    </Button>
  ) : (
    <Button small href={href(link)}>
      Show
    </Button>
  );
}

function NotificationAction({ item, onChange }: RowProps) {
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
  return isMine ? (
    <Button small onClick={take}>
      Acknowledge
    </Button>
  ) : (
    <Button small href={href(pathOf(item))}>
      Show
    </Button>
  );
}

function OtherAction({ item, onChange }: RowProps) {
  const work = can("jobs:manage") ? workOf(item) : null;
  const run = async () => {
    if (!work || !(await work.run())) return;
    onChange();
  };
  return work ? (
    <Button small onClick={run}>
      {work.label}
    </Button>
  ) : (
    <Button small href={href(pathOf(item))}>
      Show
    </Button>
  );
}

interface Work {
  readonly label: string;
  /** @returns false if the user cancels */
  readonly run: () => Promise<boolean>;
}

/** Quick actions of an operator. */
function workOf({ kind, ids, counts, title }: AttentionItem): Work | null {
  const [name = "", target] = ids;
  if (name === "") return null;
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

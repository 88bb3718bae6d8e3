import { useEffect, useRef, useState } from "preact/hooks";
import type { Channel, Delivery, NotificationDetail } from "../../../../src/client/api-types.gen.ts";
import { api } from "../../../app/api.ts";
import { href } from "../../../app/base.ts";
import { connection, useStream } from "../../../app/live.ts";
import { useGet } from "../../../app/query.ts";
import { me } from "../../../app/session.ts";
import {
  Badge,
  Banner,
  Button,
  Code,
  Condition,
  plural,
  Timeline,
  type TimelineItem,
  type Tone,
  UserText,
} from "../../../ui/index.ts";
import { useInboxTopic } from "./phone/own-ntfy.tsx";
import { Ring } from "./phone/ring.tsx";
import type { Way } from "./phone/ways.ts";
import { phoneNote } from "./skip.ts";
import type { RuleTemplate } from "./templates.ts";

interface Sent {
  readonly id: string;
  readonly receivedAt: string;
}

interface TestProps {
  readonly template: RuleTemplate;
  readonly onDone: () => void;
  readonly onPhone: () => void;
}

/** Sends the event of a template and shows its result live. */
export function TestNotification({ template, onDone, onPhone }: TestProps) {
  const [event, setEvent] = useState<Sent>();
  const [arrived, setArrived] = useState<NotificationDetail>();
  const wanted = useRef<string | undefined>(undefined);
  const early = useRef<NotificationDetail[]>([]);
  useStream("user:me", ({ type, data }) => {
    if (type !== "notification") return;
    const notification = data as NotificationDetail;
    // The notification may arrive before the answer to the event.
    if (notification.eventId === wanted.current) setArrived(notification);
    else early.current.push(notification);
  });
  const send = async () => {
    setArrived(undefined);
    const sent = await api.post<Sent>("/events", { ...template.event, projectId: "default" });
    wanted.current = sent.id;
    setEvent(sent);
    setArrived(early.current.find(({ eventId }) => eventId === sent.id));
  };
  const isLive = connection.value === "live";
  const phone = phoneNote();
  const way = phone === "skipped" ? null : phone;
  const rings = way !== null && way !== "push";
  return (
    <div class="stack">
      <p class="muted small">
        The rule “{template.name}” is active. Send it an event, as your programs will do with{" "}
        <code class="code-in">POST /api/v1/events</code>:
      </p>
      <Code value={template.event} label="Test event" maxHeight={220} />
      {event && <Story event={event} template={template} arrived={arrived} way={way} />}
      {arrived && rings && <Ring key={event?.id} way={way} onYes={onDone} onOther={onPhone} />}
      <div class="setup-actions">
        <Button variant={arrived ? "default" : "primary"} onClick={send} disabled={!isLive}>
          {event ? "Send it again" : isLive ? "Send test event" : "Connecting"}
        </Button>
        {!(arrived && rings) && (
          <Button variant={arrived ? "primary" : "quiet"} onClick={onDone}>
            {arrived ? "Continue" : "Skip"}
          </Button>
        )}
      </div>
    </div>
  );
}

interface StoryProps {
  readonly event: Sent;
  readonly template: RuleTemplate;
  readonly arrived: NotificationDetail | undefined;
  /** By which the phone has rung. */
  readonly way: Way | null;
}

function Story({ event, template, arrived, way }: StoryProps) {
  const deliveries = useDeliveries(arrived?.id);
  const own = useGet<{ readonly data: readonly Channel[] }>("/channels", { limit: 100 });
  const names = new Map((own.data?.data ?? []).map((each) => [each.id, each.name]));
  const offset = arrived && `+${Date.parse(arrived.createdAt) - Date.parse(event.receivedAt)} ms`;
  const items: TimelineItem[] = [
    {
      key: "event",
      title: (
        <>
          Event <code class="code-in">{template.event.type}</code> stored
        </>
      ),
      sub: "in the project Default",
    },
    arrived
      ? {
          key: "rule",
          title: `Rule “${template.name}” fired`,
          time: offset,
          children: <Condition text={template.condition} result={true} />,
        }
      : { key: "rule", title: "The rules decide", pending: true },
    arrived
      ? {
          key: "live",
          tone: "ok",
          title: "The notification is here",
          children: (
            <a class="setup-arrived" href={href(`/inbox/${arrived.id}`)}>
              <strong>
                <UserText>{arrived.title}</UserText>
              </strong>
              <UserText>{arrived.body}</UserText>
            </a>
          ),
        }
      : { key: "live", title: "The notification arrives in this browser", pending: true },
    ...deliveries.map((each) => deliveryItem(each, names.get(each.target))),
  ];
  return (
    <div role="status" class="stack">
      <Timeline
        items={items}
        {...(arrived && { answer: "It works: the event fired the rule, and the rule notified you." })}
      />
      {arrived && way === "own" && <OwnTopic />}
      {arrived && way === "push" && (
        <p class="muted small">Prism sends push only while you have no console open, so it does not ring now.</p>
      )}
    </div>
  );
}

const CHANNEL_NAMES: Readonly<Record<string, string>> = {
  email: "Mail",
  webpush: "Push to browsers",
  fcm: "Push to Android",
  apns: "Push to iOS",
  webhook: "Webhook",
  service: "Chat and paging services",
};
const TONES: Readonly<Record<string, Tone>> = { delivered: "ok", dead: "bad", failed: "bad", skipped: "plain" };

/** The app that reads a topic of Prism has no delivery: it is connected, or asks later. */
function OwnTopic() {
  const { topic } = useInboxTopic();
  if (!topic) return null;
  const { name, subscribers } = topic;
  if (subscribers > 0)
    return (
      <Banner tone="ok">
        {plural(subscribers, "app")} of ntfy subscribed to {name}.
      </Banner>
    );
  return <Banner tone="warn">No app of ntfy is subscribed to {name} now.</Banner>;
}

function deliveryItem({ id, channel, state, reason, lastError }: Delivery, name: string | undefined): TimelineItem {
  const tone = TONES[state] ?? "info";
  const why = lastError ?? reason;
  return {
    key: id,
    tone,
    title: (
      <span class="inline">
        {name ?? CHANNEL_NAMES[channel] ?? channel} <Badge tone={tone}>{state}</Badge>
      </span>
    ),
    ...(why && { sub: why }),
    pending: TONES[state] === undefined,
  };
}

const ASK_AGAIN_MS = 1000;
const MAX_QUESTIONS = 120;

/**
 * The deliveries outside the browser; requested until each has a result. A job plans them after
 * the notification has arrived here, so none at first does not mean that there will be none.
 */
function useDeliveries(id: string | undefined): readonly Delivery[] {
  const [deliveries, setDeliveries] = useState<readonly Delivery[]>([]);
  useEffect(() => {
    setDeliveries([]);
    if (id === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const ask = async (left: number) => {
      const query = { notificationId: id, userId: me.value?.id };
      const page = await api.get<{ readonly data: readonly Delivery[] }>("/deliveries", query).catch(() => undefined);
      if (isOver) return;
      const found = page?.data ?? [];
      if (page) setDeliveries(found);
      const isOpen = found.length === 0 || found.some(({ state }) => TONES[state] === undefined);
      if (isOpen && left > 0) timer = setTimeout(() => void ask(left - 1), ASK_AGAIN_MS);
    };
    void ask(MAX_QUESTIONS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [id]);
  return deliveries;
}

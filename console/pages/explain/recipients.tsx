import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { can } from "../../app/session.ts";
import { Button, formatInstant, Link, plural, StatusDot, UserText } from "../../ui/index.ts";
import { Offset } from "./offset.tsx";
import type { ExplainedDelivery, ExplainedNotification, ExplainedRecipient } from "./types.ts";
import { channelName, deliveryWords, recipientWords } from "./words.ts";

const FIRST_SHOWN = 5;

interface Props {
  readonly notification: ExplainedNotification;
  /** Start of the story, epoch ms. */
  readonly from: number;
  /** The user of the page comes first. */
  readonly userId: string | null;
  readonly onAsk: ((userId: string) => void) | undefined;
}

/** The people of a notification: who was reached how, and what they did. */
export function Recipients({ notification, from, userId, onAsk }: Props) {
  const [isAll, setAll] = useState(false);
  const { recipients, recipientsLeftOut } = notification;
  const sorted = [...recipients].sort((a, b) => Number(b.userId === userId) - Number(a.userId === userId));
  const shown = isAll ? sorted : sorted.slice(0, FIRST_SHOWN);
  const more = sorted.length - shown.length;
  return (
    <>
      <ul class="explain-people">
        {shown.map((recipient) => (
          <Recipient key={recipient.userId} recipient={recipient} from={from} onAsk={onAsk} />
        ))}
      </ul>
      {more > 0 && (
        <Button small variant="quiet" onClick={() => setAll(true)}>
          Show {plural(more, "more person", "more people")}
        </Button>
      )}
      {recipientsLeftOut > 0 && (isAll || more === 0) && (
        <p class="muted small">{plural(recipientsLeftOut, "more person is", "more people are")} not listed.</p>
      )}
    </>
  );
}

/** Deliveries without a listed recipient, such as those by the project's webhooks. */
export function OtherChannels({ notification: { id, channels, recipients } }: Pick<Props, "notification">) {
  const listed = new Set(recipients.flatMap(({ deliveries }) => deliveries.map(({ channel }) => channel)));
  const others = channels.filter(({ channel }) => !listed.has(channel));
  if (others.length === 0) return null;
  return (
    <ul class="explain-people">
      {others.map(({ channel, state, reason, count }) => {
        const { tone, state: word, why } = deliveryWords({ state, reason, lastError: null });
        return (
          <li key={`${channel} ${state} ${reason}`}>
            <StatusDot tone={tone}>
              <b>{channelName(channel)}</b> {word}
              {count > 1 && ` (${count})`}
              {why !== null && `: ${why}`}
            </StatusDot>
          </li>
        );
      })}
      {can("notifications:read_all") && (
        <li>
          <Link href={href(`/deliveries?notification=${id}`)}>Show the attempts</Link>
        </li>
      )}
    </ul>
  );
}

interface RecipientProps {
  readonly recipient: ExplainedRecipient;
  readonly from: number;
  readonly onAsk: ((userId: string) => void) | undefined;
}

function Recipient({ recipient, from, onAsk }: RecipientProps) {
  const { name, userId, deliveries, delivered, acknowledgeNote } = recipient;
  const { tone, text } = recipientWords(recipient);
  return (
    <li>
      <div class="explain-person">
        <StatusDot tone={tone}>
          {onAsk ? (
            <button
              type="button"
              class="explain-name"
              onClick={() => onAsk(userId)}
              title={`Why was ${name} notified?`}
            >
              <bdi>{name}</bdi>
            </button>
          ) : (
            <b>
              <bdi>{name}</bdi>
            </b>
          )}{" "}
          {text}
        </StatusDot>
        <span class="story-time">
          <Offset at={lastAction(recipient)} from={from} />
        </span>
      </div>
      {acknowledgeNote && (
        <div class="explain-note">
          “<UserText>{acknowledgeNote}</UserText>”
        </div>
      )}
      {(delivered || deliveries.length > 0) && (
        <ul class="explain-channels">
          {delivered && <LiveLine recipient={recipient} from={from} />}
          {deliveries.map((delivery) => (
            <DeliveryLine key={delivery.id} delivery={delivery} from={from} />
          ))}
        </ul>
      )}
    </li>
  );
}

function lastAction({ acknowledgedAt, readAt, deletedAt }: ExplainedRecipient): string | null {
  return acknowledgedAt ?? readAt ?? deletedAt;
}

function LiveLine({ recipient, from }: { readonly recipient: ExplainedRecipient; readonly from: number }) {
  return (
    <li>
      <span>
        Live <span class="text-ok">delivered</span>
      </span>
      <span class="story-time">
        <Offset at={recipient.deliveredAt} from={from} />
      </span>
    </li>
  );
}

const TONE_CLASS = { ok: "text-ok", bad: "text-bad", warn: "text-warn", info: "", plain: "" } as const;

function DeliveryLine({ delivery, from }: { readonly delivery: ExplainedDelivery; readonly from: number }) {
  const { channel, state, deliveredAt, updatedAt, history } = delivery;
  const { tone, state: word, why } = deliveryWords(delivery);
  const failures = history.filter(({ error }) => error !== null);
  // The line already names a single failure.
  const listed = failures.length > 1 || (failures.length === 1 && state === "delivered") ? failures : [];
  return (
    <li>
      <span>
        {channelName(channel)} <span class={TONE_CLASS[tone]}>{word}</span>
        {why !== null && (
          <span class="muted">
            {word === "waiting" && why.startsWith("until") ? " " : ": "}
            <UserText>{why}</UserText>
          </span>
        )}
        {history.length > 1 && <span class="muted"> · {plural(history.length, "attempt")}</span>}
      </span>
      <span class="story-time">
        <Offset at={deliveredAt ?? updatedAt} from={from} />
      </span>
      {listed.length > 0 && (
        <ol class="explain-attempts">
          {listed.map(({ attempt, startedAt, error }) => (
            <li key={attempt}>
              Attempt {attempt} at {formatInstant(startedAt, "clock")}: <UserText>{error ?? ""}</UserText>
            </li>
          ))}
        </ol>
      )}
    </li>
  );
}

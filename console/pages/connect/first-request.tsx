import type { ComponentChildren } from "preact";
import type { Receiver } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { Banner, Button, UserText } from "../../ui/index.ts";
import { type LoggedRequest, outcomeText, RESULTS } from "./connect-types.ts";
import { saveNotify } from "./notify-field.tsx";

/** People in the answer of `GET /explain/event/:id`. */
interface Told {
  readonly event: { readonly state: "decided" | "waiting" | "failed" } | null;
  readonly notifications: readonly {
    readonly recipients: readonly { readonly name: string }[];
    readonly recipientsLeftOut: number;
  }[];
}

/** Events are decided right after they are stored. */
const POLL_MS = 1000;

interface FirstProps {
  readonly receiverId: string;
  readonly request: LoggedRequest;
}

/** The end of the wizard: who was notified of the first request, or the choices when no one was. */
export function FirstRequest({ receiverId, request }: FirstProps) {
  const { result, outcome } = request;
  const [eventId] = outcome.eventIds ?? [];
  const hasAlert = outcome.alerts?.some(({ alertId }) => alertId !== null) === true;
  const title = `The first request was ${RESULTS[result].text}`;
  if (hasAlert)
    return (
      <Banner tone="ok" title={title}>
        It arrived as an alert: the routes and policies of the project decide who is notified.
      </Banner>
    );
  if (eventId === undefined)
    return (
      <Banner tone={RESULTS[result].tone} title={title}>
        <UserText>{outcomeText(request)}</UserText>
      </Banner>
    );
  return <Notified receiverId={receiverId} eventId={eventId} title={title} />;
}

function Notified({
  receiverId,
  eventId,
  title,
}: {
  readonly receiverId: string;
  readonly eventId: string;
  readonly title: string;
}) {
  const receiver = useGet<Receiver>(`/receivers/${receiverId}`).data;
  const { data, error, reload } = useGet<Told>(`/explain/event/${eventId}`);
  const isOpen = data === undefined ? error === undefined : data.event?.state === "waiting";
  useRefresh(() => isOpen && reload(), POLL_MS, POLL_MS);
  if (!receiver || isOpen) return <Banner tone="ok" title={title} />;
  const people = data ? peopleOf(data) : null;
  if (people !== null && people !== "")
    return (
      <Banner tone="ok" title={title}>
        It arrived, and <UserText>{people}</UserText> notified.
      </Banner>
    );
  if (people === null && receiver.notify === "members")
    return (
      <Banner tone="ok" title={title}>
        The project's members are notified of events without a level or from warning on, unless a rule decides.
      </Banner>
    );
  return (
    <Banner tone="warn" title={title} action={<Choices receiver={receiver} eventId={eventId} />}>
      {receiver.notify === "members"
        ? "No one is notified of it: no rule matched, and its level is below warning."
        : "No one is notified: no rule matched, and the receiver only stores."}
    </Banner>
  );
}

function Choices({ receiver, eventId }: { readonly receiver: Receiver; readonly eventId: string }): ComponentChildren {
  return (
    <span class="inline">
      {receiver.notify === "none" && (
        <Button small onClick={() => saveNotify(receiver, "members")}>
          Notify the members
        </Button>
      )}
      <Button small href={href(`/rules/new?from=${eventId}`)}>
        Create a rule
      </Button>
    </span>
  );
}

/** "Anna was", "Anna and Ben were"; empty for no one. */
function peopleOf({ notifications }: Told): string {
  const names = [...new Set(notifications.flatMap(({ recipients }) => recipients.map(({ name }) => name)))];
  const others = notifications.reduce((sum, { recipientsLeftOut }) => sum + recipientsLeftOut, 0);
  const more = Math.max(names.length - SHOWN, 0) + others;
  const shown = [...names.slice(0, SHOWN), ...(more > 0 ? [`${more} more`] : [])];
  if (shown.length < 2) return shown.length === 0 ? "" : `${shown[0]} was`;
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)} were`;
}

const SHOWN = 3;

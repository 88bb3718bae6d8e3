import { ListFilter, Plus } from "lucide";
import { href } from "../../app/base.ts";
import { Button, Card, EmptyState, Link, Time, UserText } from "../../ui/index.ts";
import { useRecentEvents } from "./data.ts";
import { STARTERS } from "./starters.ts";
import { eventLine } from "./trial/test-card.tsx";

const SHOWN_EVENTS = 5;

/** The list without rules: the ways to create the first one. */
export function NoRules({ isWritable }: { readonly isWritable: boolean }) {
  if (!isWritable)
    return (
      <EmptyState
        icon={ListFilter}
        title="No rules yet"
        text="Rules decide which events notify whom. You may read them here when there are some."
      />
    );
  return (
    <div class="stack">
      <EmptyState
        icon={ListFilter}
        title="Create the first rule"
        text="A rule picks events by a condition and notifies people. Start from a template or from an event that arrived."
        action={
          <Button icon={Plus} variant="primary" href={href("/rules/new")}>
            Empty rule
          </Button>
        }
      />
      <div class="grid3 rule-starters">
        {STARTERS.map(({ id, title, text }) => (
          <a class="rule-starter" key={id} href={href(`/rules/new?template=${id}`)}>
            <b>{title}</b>
            <span class="muted small">{text}</span>
          </a>
        ))}
      </div>
      <FromEvents />
    </div>
  );
}

function FromEvents() {
  const { events } = useRecentEvents(null);
  const kinds = new Map([...(events ?? [])].reverse().map((event) => [event.type, event]));
  if (kinds.size === 0) return null;
  return (
    <div class="rule-starters">
      <Card title="From a recent event">
        <ul class="rule-list">
          {[...kinds.values()].slice(-SHOWN_EVENTS).map((event) => (
            <li key={event.id}>
              <span class="grow user-text">
                <Link href={href(`/rules/new?from=${event.id}`)}>{event.type}</Link>{" "}
                <span class="muted">
                  <UserText lines={1}>{eventLine(event)}</UserText>
                </span>
              </span>
              <span class="muted nowrap">
                <Time at={event.receivedAt} />
              </span>
            </li>
          ))}
        </ul>
      </Card>
    </div>
  );
}

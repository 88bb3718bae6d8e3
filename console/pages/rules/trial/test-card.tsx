import { useMemo, useState } from "preact/hooks";
import type { Event, RuleTest } from "../../../../src/client/api-types.gen.ts";
import { href } from "../../../app/base.ts";
import {
  Answer,
  Card,
  Combobox,
  Condition,
  choices,
  EmptyState,
  ErrorState,
  Field,
  formatRelative,
  Link,
  Segmented,
  Skeleton,
  Textarea,
} from "../../../ui/index.ts";
import type { Definition } from "../types.ts";
import { isInEvent } from "./event-path.ts";
import { Reach } from "./reach.tsx";
import type { Trial, TriedEvent } from "./trial.ts";

/** The event that a draft is tested on. */
export interface TestEvent {
  readonly mode: "recent" | "own";
  readonly eventId: string;
  /** The author's JSON. */
  readonly text: string;
}

const EXAMPLE = '{\n  "type": "payment.failed",\n  "payload": { "amount": 1500 }\n}';

export function useTestEvent(eventId: string) {
  return useState<TestEvent>({ mode: "recent", eventId, text: EXAMPLE });
}

/** What the server tests on; null while no event is chosen. */
export function subjectOf({ mode, text, eventId }: TestEvent): TriedEvent | null {
  if (mode === "recent") return eventId === "" ? null : { eventId };
  const event = parsed(text);
  return event === null ? null : { event };
}

/** The latest event of a type that the condition names, otherwise the latest. */
export function likelyEvent(condition: string, recent: readonly Event[] | undefined): string {
  const named = recent?.find(({ type }) => condition.includes(`'${type}'`) || condition.includes(`"${type}"`));
  return (named ?? recent?.[0])?.id ?? "";
}

function parsed(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** One line about an event in a list of choices. */
export function eventLine({ payload }: Event): string {
  const parts = Object.entries(payload)
    .filter(([, value]) => typeof value !== "object")
    .slice(0, 3)
    .map(([name, value]) => `${name} ${value}`);
  return parts.join(", ").slice(0, 80);
}

export interface TestCardProps {
  readonly draft: Definition;
  readonly test: TestEvent;
  readonly onTest: (test: TestEvent) => void;
  readonly recent: readonly Event[] | undefined;
  readonly isLoading: boolean;
  /** The chosen event when it is not among the recent ones. */
  readonly chosen: Event | undefined;
  readonly trial: Trial;
}

/** Tests the draft on one event: the values it reads, the result, and who would be notified. */
export function TestCard({ draft, test, onTest, recent, isLoading, chosen, trial }: TestCardProps) {
  const options = useMemo(() => {
    const events = [...(chosen && !recent?.some(({ id }) => id === chosen.id) ? [chosen] : []), ...(recent ?? [])];
    return events.map((event) => ({
      value: event.id,
      label: `${event.type}, ${formatRelative(event.receivedAt)}`,
      hint: eventLine(event),
    }));
  }, [recent, chosen]);
  const event =
    test.mode === "own" ? (parsed(test.text) ?? undefined) : (chosen ?? recent?.find(({ id }) => id === test.eventId));
  return (
    <Card
      title="Test"
      sub="One event against this rule. Nothing is stored or sent."
      actions={
        <Segmented
          small
          label="Event to test"
          value={test.mode}
          onChange={(mode) => onTest({ ...test, mode: mode === "own" ? "own" : "recent" })}
          options={choices({ recent: "Recent", own: "JSON" })}
        />
      }
    >
      <div class="stack">
        {test.mode === "own" ? (
          <Field label="Event as JSON" error={parsed(test.text) === null ? "This is not a JSON object." : undefined}>
            <Textarea mono rows={6} value={test.text} onChange={(text) => onTest({ ...test, text })} />
          </Field>
        ) : (
          <Field label="Event">
            <Combobox
              value={test.eventId}
              onChange={(eventId) => onTest({ ...test, eventId })}
              options={options}
              placeholder={isLoading ? "Loading…" : "No events yet"}
            />
          </Field>
        )}
        <Outcome
          draft={draft}
          trial={trial}
          event={event}
          hasEvents={recent === undefined || recent.length > 0}
          isOwn={test.mode === "own"}
        />
      </div>
    </Card>
  );
}

interface OutcomeProps {
  readonly draft: Definition;
  readonly trial: Trial;
  readonly event: object | undefined;
  readonly hasEvents: boolean;
  readonly isOwn: boolean;
}

function Outcome({ draft, trial, event, hasEvents, isOwn }: OutcomeProps) {
  const { result, problems, failure } = trial;
  if (draft.condition.trim() === "") return <p class="muted small">Write a condition to see its result here.</p>;
  if (failure !== undefined) return <ErrorState small error={failure} />;
  const refusal = problems.find(({ severity }) => severity === "error");
  if (refusal) return <Condition text={draft.condition} result="error" error={refusal} />;
  if (!hasEvents && !isOwn)
    return <EmptyState small title="No events yet" text="Send one, or test with your own JSON." />;
  if (event === undefined) return null;
  if (!result) return <Skeleton kind="text" count={3} />;
  return (
    <>
      <Condition
        text={draft.condition}
        result={result.error === undefined ? result.matched : "error"}
        values={valuesOf(result, event)}
      />
      {result.error !== undefined && <Answer tone="bad">{result.error}</Answer>}
      <Hints result={result} />
      {result.matched ? (
        <Reach draft={draft} />
      ) : (
        <Answer tone="plain">The condition is not true for this event: the rule would not notify anyone.</Answer>
      )}
      {"id" in event && typeof event.id === "string" && (
        <div class="spread small">
          <Link href={href(`/events/${event.id}`)}>Open the event</Link>
          {"level" in event && <span class="muted">level {String(event.level)}</span>}
        </div>
      )}
    </>
  );
}

const PATH = /^event(?:\.[\w$]+|\[(?:'[^']*'|"[^"]*"|\d+)\])+$/;

/** The values of the paths, each once, in the order of the condition. */
function valuesOf({ trace }: RuleTest, event: object) {
  const paths = new Map<string, unknown>();
  for (const { text, value } of trace) if (PATH.test(text)) paths.set(text, value);
  return [...paths].map(([path, value]) => ({ path, value, missing: value === null && !isInEvent(event, path) }));
}

/** Why a step gave no result, such as a comparison of a text with a number. */
function Hints({ result }: { readonly result: RuleTest }) {
  const hints = result.trace.filter(({ hint }) => hint !== undefined);
  if (hints.length === 0) return null;
  return (
    <ul class="stack s2">
      {hints.map(({ pos, text, hint }) => (
        <li class="rule-problem warning" key={pos}>
          <span dir="auto">
            <code>{text}</code>: {hint}
          </span>
        </li>
      ))}
    </ul>
  );
}

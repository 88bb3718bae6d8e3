import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { Answer, Drawer, ErrorState, openDialog, Skeleton, Time, Timeline, UserText } from "../../ui/index.ts";
import { withLocalTimes } from "../explain/words.ts";
import type { IncidentDetail } from "./incident-types.ts";

interface Line {
  readonly at: string | null;
  readonly kind: string;
  readonly text: string;
}

/** The shown members of `GET /api/v1/explain/incident/:id` (docs/explain.md). */
interface Explanation {
  readonly incidents: readonly {
    readonly answer: string;
    readonly lines: readonly Line[];
    readonly linesLeftOut: number;
    readonly people: readonly { readonly userId: string; readonly name: string; readonly reasons: readonly string[] }[];
    readonly you: {
      readonly notified: boolean;
      readonly mirrored?: boolean;
      readonly lines: readonly string[];
    } | null;
    readonly next: readonly Line[];
  }[];
}

/** The question of the person who looks at an incident, and its answer beside it. */
export function WhyPaged({ incident }: { readonly incident: IncidentDetail }) {
  const isPaged = incident.audience.some(({ userId }) => userId === me.value?.id);
  const question = isPaged ? "Why was I paged?" : "Why was I not paged?";
  const explain = () =>
    openDialog(
      <Drawer title={question} subtitle={incident.title} size="lg">
        <Why id={incident.id} />
      </Drawer>,
    );
  return (
    <button type="button" class="why" onClick={explain}>
      {question}
    </button>
  );
}

function toldText({ notified, mirrored }: NonNullable<Explanation["incidents"][number]["you"]>): string {
  if (mirrored) return "You would have been notified: the project is a mirror, nothing was sent.";
  return notified ? "You were notified." : "You were not notified.";
}

function Why({ id }: { readonly id: string }) {
  const { data, error, reload } = useGet<Explanation>(`/explain/incident/${id}`);
  const [story] = data?.incidents ?? [];
  if (error && !story) return <ErrorState error={error} retry={reload} />;
  if (!story) return <Skeleton kind="text" count={6} />;
  const { you, people, lines, linesLeftOut, next } = story;
  const others = people.filter(({ userId }) => userId !== me.value?.id);
  return (
    <div class="stack">
      {you !== null && (
        <Answer>
          <b>{toldText(you)}</b>
          <Reasons lines={you.lines} />
        </Answer>
      )}
      <section class="section">
        <h2>{you?.notified || you?.mirrored ? "Who else was notified" : "Who was notified"}</h2>
        {others.length === 0 && <p class="muted">No other person.</p>}
        {others.map(({ userId, name, reasons }) => (
          <div key={userId}>
            <UserText>{name}</UserText>
            <Reasons lines={reasons} />
          </div>
        ))}
      </section>
      <section class="section">
        <h2>Step by step</h2>
        {linesLeftOut > 0 && <p class="muted">{`${linesLeftOut} lines are left out.`}</p>}
        <Timeline
          label="Step by step"
          items={[...lines.map((line) => itemOf(line, false)), ...next.map((line) => itemOf(line, true))]}
        />
      </section>
    </div>
  );
}

function Reasons({ lines }: { readonly lines: readonly string[] }) {
  return (
    <ul class="plain-list muted small">
      {lines.map((line) => (
        <li key={line}>
          <bdi>{withLocalTimes(line)}</bdi>
        </li>
      ))}
    </ul>
  );
}

function itemOf({ at, text }: Line, pending: boolean) {
  return {
    title: <span class="small">{withLocalTimes(text)}</span>,
    pending,
    ...(at === null ? {} : { time: <Time at={at} /> }),
  };
}

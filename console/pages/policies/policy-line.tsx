import { useState } from "preact/hooks";
import type { PolicyTrial } from "../../../src/client/api-types.gen.ts";
import { useQueryState } from "../../app/navigate.ts";
import { usePreview } from "../../app/preview.ts";
import {
  Badge,
  Banner,
  Button,
  Card,
  DateTimeInput,
  ErrorState,
  formatDuration,
  plural,
  Skeleton,
  Time,
  Timeline,
  type TimelineItem,
  UserText,
} from "../../ui/index.ts";
import { listed } from "./alert-trial.tsx";
import { useTargetNames } from "./names.ts";
import { entriesOf, type LineEntry, type TrialLine } from "./policy-rounds.ts";
import { type Names, type PolicyDefinition, problemOf, stepText } from "./policy-types.ts";

interface Props {
  readonly projectId: string;
  /** Its id; undefined: it is not stored yet. */
  readonly policy: string | undefined;
  readonly draft: PolicyDefinition;
  readonly isDirty: boolean;
}

/** Whom the policy notifies and after how long, with the people of now or of another time. */
export function PolicyLine({ projectId, policy, draft, isDirty }: Props) {
  const [given, setGiven] = useQueryState("at");
  const [at, setAt] = useState(given);
  const change = (iso: string) => {
    setAt(iso);
    setGiven(iso);
  };
  const problem = isDirty ? problemOf({ ...draft, name: draft.name || "new" }) : undefined;
  const { steps, repeat, opensIncidents } = draft;
  const body = {
    projectId,
    ...(policy === undefined ? {} : { policy }),
    ...(isDirty ? { draft: { steps, repeat, opensIncidents } } : {}),
    ...(at === "" ? {} : { at }),
  };
  const isAsked = projectId !== "" && problem === undefined;
  const { data, error } = usePreview<PolicyTrial>("/explain/policy", isAsked ? body : null, "keep");
  const names = useTargetNames(projectId, steps);
  return (
    <Card
      title="Who is called, and when"
      sub={
        at === "" ? (
          "If an incident opened now and no person acknowledged it. Nothing is sent."
        ) : (
          <>
            If an incident opened on <Time at={at} mode="full" /> and no person acknowledged it. Nothing is sent.
          </>
        )
      }
      actions={
        <span class="inline policy-when">
          <DateTimeInput label="At" value={at} onChange={change} />
          {at !== "" && <Button onClick={() => change("")}>Now</Button>}
        </span>
      }
    >
      <div class="stack s2">
        {isDirty && (
          <p class="muted small" role="status">
            {problem === undefined
              ? "With your changes, which are not saved."
              : `Shown without the last changes: ${problem}.`}
          </p>
        )}
        {error !== undefined && <ErrorState small error={error} />}
        {data ? (
          <Line trial={data} draft={draft} names={names} />
        ) : (
          error === undefined && problem === undefined && <Skeleton kind="text" />
        )}
      </div>
    </Card>
  );
}

interface LineProps {
  readonly trial: PolicyTrial;
  readonly draft: PolicyDefinition;
  readonly names: Names;
}

function Line({ trial, draft, names }: LineProps) {
  if (!trial.opensIncidents) return <p>Alerts are listed only: no incident opens, and no one is called.</p>;
  const isReaching = trial.next.some(({ step, users }) => step !== undefined && users?.length !== 0);
  return (
    <>
      {!isReaching && <Banner tone="warn" title="No one is called" />}
      <Timeline
        label="Who is called, and when"
        items={entriesOf(trial.next).map((entry) => itemOf(entry, draft, names))}
      />
    </>
  );
}

function itemOf(entry: LineEntry, { steps }: PolicyDefinition, names: Names): TimelineItem {
  if (entry.kind === "again")
    return {
      tone: "accent",
      time: <Clock at={entry.at} afterMs={entry.afterMs} />,
      title: (
        <>
          <Offset ms={entry.afterMs} /> again{entry.count > 1 && ` ×${entry.count}`}
        </>
      ),
      sub: `${plural(entry.count, "further round")}, with the same people.`,
    };
  const { line, round } = entry;
  const { step, users, afterMs, text } = line;
  const own = step === undefined ? undefined : steps[step];
  const time = <Clock at={line.at} afterMs={afterMs} />;
  if (step === undefined || users === undefined) {
    const what = own && (own.type === "webhook" || own.type === "channel") ? stepText(own, names) : text;
    return {
      tone: step === undefined ? "plain" : "accent",
      time,
      title: (
        <>
          <Offset ms={afterMs} /> <UserText>{what}</UserText>
        </>
      ),
    };
  }
  return {
    tone: users.length === 0 || line.unreachable ? "warn" : "accent",
    time,
    title: (
      <>
        <Offset ms={afterMs} />{" "}
        <UserText>{users.length === 0 ? "no one" : listed(users.map(({ name }) => name))}</UserText>{" "}
        {line.urgency === "low" && <Badge tone="plain">low urgency</Badge>}
        {round > 0 && <Badge tone="plain">{`round ${round + 1}`}</Badge>}
      </>
    ),
    sub: <Reasons line={line} step={own?.type === "notify" ? stepText(own, names) : text} />,
  };
}

const DAY_MS = 86_400_000;

/** The time of day; the date of what is far away. */
function Clock({ at, afterMs }: { readonly at: string | null; readonly afterMs: number }) {
  return <Time at={at} mode={afterMs < DAY_MS ? "clock" : "date"} />;
}

function Offset({ ms }: { readonly ms: number }) {
  return <span class="num policy-offset">+{ms === 0 ? "0 min" : formatDuration(ms)}</span>;
}

/** What the step says, and who of its people no channel reaches. */
function Reasons({
  line: { text, users, unreachable = [] },
  step,
}: {
  readonly line: TrialLine;
  readonly step: string;
}) {
  return (
    <>
      <UserText>{users?.length === 0 ? text : step}</UserText>
      {unreachable.map(({ userId, name, text: why }) => (
        <p key={userId} class="small">
          <Badge tone="warn">cannot be reached</Badge> <UserText>{`${name}: ${why}`}</UserText>
        </p>
      ))}
    </>
  );
}

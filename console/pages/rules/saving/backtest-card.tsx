import { History } from "lucide";
import { useEffect, useRef, useState } from "preact/hooks";
import type { BacktestResult as Backtest } from "../../../../src/client/api-types.gen.ts";
import { href } from "../../../app/base.ts";
import { canInProject } from "../../../app/memberships.ts";
import {
  Badge,
  Button,
  Card,
  ChartCard,
  ErrorState,
  formatNumber,
  Link,
  Num,
  Progress,
  plural,
  Segmented,
  Time,
} from "../../../ui/index.ts";
import type { Definition, Rule } from "../types.ts";
import { type BacktestChange, type BacktestOutcome, type BacktestSample, RANGES, runBacktest } from "./backtest.ts";

export interface BacktestState {
  readonly result: Backtest | undefined;
  readonly error: unknown;
  readonly isRunning: boolean;
  run(): void;
}

/** Runs one backtest at a time; a newer one cancels it. */
export function useBacktest(draft: Definition, rule: Rule | null, hours: number): BacktestState {
  const [state, setState] = useState<{ result?: Backtest; error?: unknown; isRunning: boolean }>({ isRunning: false });
  const stopper = useRef<AbortController | null>(null);
  useEffect(() => () => stopper.current?.abort(), []);
  const run = async () => {
    stopper.current?.abort();
    const own = new AbortController();
    stopper.current = own;
    setState((last) => ({ ...last, error: undefined, isRunning: true }));
    try {
      const result = await runBacktest(draft, { ruleId: rule?.id, hours }, own.signal);
      if (!own.signal.aborted) setState({ result, isRunning: false });
    } catch (error) {
      if (!own.signal.aborted) setState({ error, isRunning: false });
    }
  };
  return { result: state.result, error: state.error, isRunning: state.isRunning, run: () => void run() };
}

export interface BacktestCardProps {
  readonly draft: Definition;
  readonly rule: Rule | null;
  readonly isValid: boolean;
}

/** Backtest of the draft on the events of the last day or week. */
export function BacktestCard({ draft, rule, isValid }: BacktestCardProps) {
  const [hours, setHours] = useState("168");
  const backtest = useBacktest(draft, rule, Number(hours));
  const { result, error, isRunning } = backtest;
  const deciding = JSON.stringify([
    draft.condition,
    draft.suppression,
    draft.dedupe,
    draft.cooldownMs,
    draft.projectId,
  ]);
  const [ran, setRan] = useState("");
  if (!canInProject("events:read")) return null;
  const run = () => {
    setRan(`${deciding} ${hours}`);
    backtest.run();
  };
  const isOutdated = result !== undefined && ran !== `${deciding} ${hours}`;
  return (
    <Card
      title="Backtest"
      sub="This rule on the events that are stored. Nothing is sent."
      actions={<Segmented small label="Range" value={hours} onChange={setHours} options={RANGES} />}
    >
      <div class="stack">
        {isRunning && <Progress label="Evaluating stored events" />}
        {error !== undefined && <ErrorState small error={error} retry={run} />}
        {result && !isRunning && <BacktestResult result={result} rule={rule} hours={Number(hours)} />}
        {!isRunning && (
          <Button icon={History} onClick={run} disabled={!isValid} full>
            {result === undefined ? "Run backtest" : isOutdated ? "Run again with the changes" : "Run again"}
          </Button>
        )}
      </div>
    </Card>
  );
}

export interface BacktestResultProps {
  readonly result: Backtest;
  readonly rule: Rule | null;
  readonly hours: number;
}

export function rangeWords(hours: number): string {
  return hours === 24 ? "the last 24 hours" : "the last 7 days";
}

/** "Would have notified 12 times in the last 7 days, 3 before." */
export function backtestSentence({ result, rule, hours }: BacktestResultProps): string {
  const now = `Would have notified ${times(result.fired)} in ${rangeWords(hours)}`;
  if (!rule || !result.diff) return `${now}.`;
  const { added, removed } = result.diff;
  const before = result.fired - added + removed;
  if (before !== result.fired) return `${now}, ${formatNumber(before)} before.`;
  return `${now}, as often as before${added > 0 ? ", but of other events" : ""}.`;
}

function times(n: number): string {
  return n === 1 ? "once" : plural(n, "time");
}

export function BacktestResult(props: BacktestResultProps) {
  const { result } = props;
  const withheld = result.suppressed + result.deduped + result.cooled;
  return (
    <>
      <p class="strong" role="status">
        {backtestSentence(props)}
      </p>
      <div class="rule-figures">
        <Figure n={result.scanned} label={result.scanned === 1 ? "event read" : "events read"} />
        <Figure n={result.matched} label="match" />
        <Figure n={result.fired} label="notify" />
        <Figure n={withheld} label="withheld" />
        {result.errors > 0 && <Figure n={result.errors} label="failed" />}
      </div>
      <BacktestChart result={result} />
      {result.changes && result.changes.length > 0 ? (
        <Changes result={result} changes={result.changes} />
      ) : (
        <Samples samples={result.samples} />
      )}
    </>
  );
}

/** Buckets of the chart; more would be thinner than a line. */
const MAX_BARS = 42;

/** The numbers of `per` buckets added up. */
function joined(values: readonly number[], per: number): readonly number[] {
  const length = Math.ceil(values.length / per);
  return Array.from({ length }, (_, index) =>
    values.slice(index * per, (index + 1) * per).reduce((sum, value) => sum + value, 0),
  );
}

function BacktestChart({ result: { series } }: { readonly result: Backtest }) {
  if (series.from === null || series.matched.every((n) => n === 0)) return null;
  const start = Date.parse(series.from);
  const { stepMs, matched, fired, firedBefore } = series;
  const per = Math.ceil(matched.length / MAX_BARS);
  const bars = joined(matched, per);
  return (
    <ChartCard
      bare
      title="Backtest"
      kind={firedBefore ? "line" : "bars"}
      height={150}
      x={bars.map((_, index) => start + index * per * stepMs)}
      series={[
        { label: "Match", values: bars, tone: "muted" },
        ...(firedBefore ? [{ label: "Notify, stored", values: joined(firedBefore, per), tone: "warn" as const }] : []),
        { label: "Notify", values: joined(fired, per), tone: "accent" },
      ]}
    />
  );
}

const OUTCOME_WORDS = {
  fired: "notifies",
  suppressed: "suppressed in a storm",
  deduped: "joins an earlier one",
  cooled: "in the cooldown",
  counted: "counted",
  "alert-opened": "opens an alert",
  "alert-resolved": "resolves its alert",
  error: "fails",
} as const;

function outcomeWord(outcome: BacktestOutcome): string {
  return outcome === null ? "does not match" : OUTCOME_WORDS[outcome];
}

/** The events that the edited and the stored version decide differently. */
function Changes({ result, changes }: { readonly result: Backtest; readonly changes: readonly BacktestChange[] }) {
  const { added = 0, removed = 0 } = result.diff ?? {};
  return (
    <details open={changes.length <= OPEN_CHANGES}>
      <summary class="small">
        {formatNumber(added)} more, {formatNumber(removed)} fewer than the stored version
      </summary>
      <ul class="rule-list">
        {changes.map(({ eventId, type, title, receivedAt, change, before, after }) => (
          <li key={`${eventId} ${change}`}>
            <Badge tone={change === "added" ? "ok" : "warn"}>{change === "added" ? "more" : "fewer"}</Badge>
            <span class="grow">
              <Link href={href(`/events/${eventId}`)}>{title ?? type}</Link>
              <span class="muted">{` ${outcomeWord(before)} → ${outcomeWord(after)}`}</span>
            </span>
            <span class="muted nowrap">
              <Time at={receivedAt} />
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}

const OPEN_CHANGES = 8;

function Figure({ n, label }: { readonly n: number; readonly label: string }) {
  return (
    <div>
      <b>
        <Num n={n} />
      </b>
      {label}
    </div>
  );
}

function Samples({ samples }: { readonly samples: readonly BacktestSample[] }) {
  if (samples.length === 0) return null;
  return (
    <details>
      <summary class="small">{plural(samples.length, "event")} that would notify</summary>
      <ul class="rule-list">
        {samples.map(({ eventId, type, title, receivedAt }) => (
          <li key={eventId}>
            <span class="grow user-text">
              <Link href={href(`/events/${eventId}`)}>{title ?? type}</Link>
            </span>
            <span class="muted nowrap">
              <Time at={receivedAt} />
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}

import { plural, Time } from "../../ui/index.ts";

/* What came of notices, for the timeline. */

/** A notice of an incident, as the API has it. */
export interface Outcome {
  readonly outcome: "queued" | "trying" | "held" | "delivered" | "failed" | "overtaken" | "skipped";
  readonly userId: string | null;
  readonly channel: string | null;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly note: string | null;
  readonly heldUntil: string | null;
  readonly deliveredAt: string | null;
  readonly endedAt: string | null;
}

export function isOutcome(value: unknown): value is Outcome {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "outcome") === "string";
}

/** The colour of the entry: nothing looks sent before the other side has accepted it. */
export function outcomeTone(outcome: Outcome | undefined): "accent" | "bad" | "warn" | "plain" {
  if (outcome?.outcome === "delivered") return "accent";
  if (outcome?.outcome === "failed") return "bad";
  return outcome?.outcome === "trying" ? "warn" : "plain";
}

export function OutcomeText({ of }: { readonly of: Outcome | undefined }) {
  if (!of) return <>not recorded</>;
  const { outcome, attempts, lastError, note, heldUntil, deliveredAt, endedAt } = of;
  const error = lastError === null ? "" : `: ${lastError}`;
  switch (outcome) {
    case "delivered":
      return (
        <>
          delivered {deliveredAt !== null && <Time at={deliveredAt} />}
          {note !== null && ` (${note})`}
        </>
      );
    case "trying":
      return <>{`being tried, ${plural(attempts, "attempt")}${error}`}</>;
    case "failed":
      return <>{`failed after ${plural(attempts, "attempt")}${error}${endedAt === null ? "; tried again" : ""}`}</>;
    case "held":
      return <>held until {heldUntil !== null && <Time at={heldUntil} mode="full" />}</>;
    case "queued":
      return <>waits to be sent</>;
    default:
      return <>{outcome === "overtaken" ? `not sent: ${note ?? "overtaken"}` : `skipped: ${note ?? "not wanted"}`}</>;
  }
}

import type { NoticeOutcome } from "../../../src/client/api-types.gen.ts";
import { plural, Time } from "../../ui/index.ts";

/* What came of notices, for the timeline. */

export function isOutcome(value: unknown): value is NoticeOutcome {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "outcome") === "string";
}

/** The colour of the entry: nothing looks sent before the other side has accepted it. */
export function outcomeTone(outcome: NoticeOutcome | undefined): "accent" | "bad" | "warn" | "plain" {
  if (outcome?.outcome === "delivered") return "accent";
  if (outcome?.outcome === "failed") return "bad";
  return outcome?.outcome === "trying" ? "warn" : "plain";
}

export function OutcomeText({ of }: { readonly of: NoticeOutcome | undefined }) {
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

import { cleanText } from "../../../core/clean-text.ts";
import type { IncomingEvent } from "../deciding/incoming-event.ts";
import { type Condition, compileCondition, compileTemplate, cutText, type Template } from "../language/language.ts";
import { EMPTY_HISTORY } from "../throttle/history.ts";
import { throttleSettings } from "../throttle/settings.ts";
import { type DefaultSuppression, type JudgedRule, Throttle, type Verdict } from "../throttle/throttle.ts";
import type { TriedRule } from "./plan.ts";

const TITLE_LENGTH = 255;
/** Keys of windows and of dedupes that are remembered: there are no tables behind them. */
const MAX_KEYS = 200_000;
const RULE_ID = "tried";

/** What became of an event; null: the condition was false. */
export type ReplayOutcome = Verdict["outcome"] | "error" | null;

/** One rule over events of the past, decided by the engine of the present. Its memory begins empty. */
export class Replay {
  readonly #condition: Condition;
  readonly #rule: JudgedRule;
  readonly #title: Template | null;
  readonly #throttle: Throttle;
  /** The longest time by which an earlier event can decide about a later one. */
  readonly memoryMs: number;

  /** @throws INVALID_CONDITION, INVALID_TEMPLATE */
  constructor(rule: TriedRule, defaults: DefaultSuppression) {
    const throttling = throttleSettings(rule);
    this.#condition = compileCondition(rule.condition);
    this.#rule = { row: { id: RULE_ID }, throttling };
    this.#title = rule.titleTemplate === null ? null : compileTemplate(rule.titleTemplate, "titleTemplate");
    this.#throttle = new Throttle(EMPTY_HISTORY, defaults, MAX_KEYS);
    const windowMs = (throttling.suppression ?? defaults())?.windowMs ?? 0;
    this.memoryMs = Math.max(windowMs, throttling.dedupe?.windowMs ?? 0, throttling.cooldownMs);
  }

  /** Decides on the next event, in the order of their numbers. */
  decide(event: IncomingEvent): ReplayOutcome {
    try {
      if (!this.#condition.test(event)) return null;
      const verdict = this.#throttle.judge(this.#rule, event);
      this.#throttle.apply(verdict, event, verdict.outcome === "fired" ? event.id : null);
      return verdict.outcome;
    } catch {
      return "error";
    }
  }

  /** What the rule would be called with this event. */
  title(event: IncomingEvent): string | null {
    if (this.#title === null) return null;
    return cutText(cleanText(this.#title.render(event, TITLE_LENGTH)), TITLE_LENGTH);
  }

  /** Drops what would be written here: there is nobody to write it. */
  forgetRows(): void {
    this.#throttle.take();
  }
}

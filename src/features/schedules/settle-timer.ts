import { checkShape } from "../../http/input.ts";
import { object } from "../../http/shapes.ts";
import { TimerActionBody } from "../timers/index.ts";
import type { SchedulesContext } from "./context.ts";
import type { SettlePayload } from "./schedules.ts";

const TimerPayload = object({ action: TimerActionBody });

/** A timer that an operator schedules is checked as one that anybody makes: its form, its recipient, and the rights of who makes it. */
export function settleTimer({ timer }: Pick<SchedulesContext, "timer">): SettlePayload {
  return async (payload, creator, trx) => {
    const { action } = checkShape(TimerPayload, payload, "body");
    return { action: await timer.resolveReferences(timer.read(action), creator, trx) };
  };
}

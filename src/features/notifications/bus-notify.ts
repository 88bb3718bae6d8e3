import * as v from "valibot";
import type { BusHandler } from "../../core/bus.ts";
import { checkShape } from "../../http/input.ts";
import { text } from "../../http/shapes.ts";

/** The bus event that reaches a user. */
export const NOTIFY_EVENT = "notify";

/** As a timer's body has it, so that the paths of what is wrong are those of the request. */
const BusNotify = v.object({
  action: v.object({
    payload: v.object({
      userId: text(128, 1),
      title: text(255, 1),
      body: v.optional(text(4000)),
      message: v.optional(text(4000)),
    }),
  }),
});

interface BusNotification {
  readonly recipients: readonly string[];
  readonly title: string;
  readonly message: string;
}

/** What the payload of the event `notify` asks for. @throws VALIDATION_FAILED */
export function readBusNotify(payload: unknown): BusNotification {
  const { userId, title, body, message } = checkShape(BusNotify, { action: { payload } }, "body").action.payload;
  return { recipients: [userId], title, message: message ?? body ?? "" };
}

/** The program's own subscriber to `notify`. A timer sends by itself and skips this one on the bus. */
export function busNotifier(
  send: (input: BusNotification & { readonly correlationId: string }) => Promise<unknown>,
): BusHandler {
  return async (payload, { correlationId }) => {
    await send({ ...readBusNotify(payload), correlationId });
  };
}

import * as v from "valibot";
import { toRfc3339 } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import { Reply, route } from "../../http/route.ts";
import { integer, jsonObject, object, text } from "../../http/shapes.ts";
import { userOf } from "../../services/caller-of.ts";
import { IDEMPOTENCY_ERRORS } from "../../services/idempotency.ts";
import { ChannelList, requireServed, requireSound } from "../../services/message-parts.ts";
import type { AppModule } from "../../services/module.ts";
import type { TimerAction } from "../../services/timers.ts";

const MAX_DELAY_MS = 31_536_000_000;
const MAX_PAYLOAD_BYTES = 65_536;

const NotifyAction = object({
  type: v.literal("notify"),
  payload: object({
    userId: text(128, 1),
    title: text(255, 1),
    body: v.optional(text(4000, 1)),
    message: v.optional(text(4000, 1)),
    data: v.optional(v.nullable(jsonObject(16_384))),
    sound: v.optional(v.nullable(text(255, 1))),
    channels: v.optional(ChannelList),
  }),
});

const EventAction = object({
  type: v.literal("event"),
  event: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9_.:\-/]{1,100}$/, "must be 1 to 100 letters, digits or any of _ . : - /"),
  ),
  payload: v.optional(jsonObject(MAX_PAYLOAD_BYTES)),
  persist: v.optional(v.boolean()),
});

const TriggerBody = object({
  label: text(128, 1),
  delayMs: v.pipe(integer(0, MAX_DELAY_MS), v.description("Milliseconds from now, up to a year")),
  action: v.variant("type", [NotifyAction, EventAction]),
  dedupeKey: v.optional(text(256, 1)),
});

/** Timers: something happens later (contract 4.10, 8.6). */
const time: AppModule = {
  name: "time",
  version: "1.0.0",
  register(server, { timer, idempotency, db, system }) {
    server.route(
      route({
        method: "POST",
        path: "/api/v1/time/trigger",
        aliases: ["/time/trigger"],
        summary: "Notify somebody, or emit an event, after a delay; it survives a restart",
        tag: "Time",
        access: { permission: "timers:create" },
        body: TriggerBody,
        status: 201,
        response: v.object({
          jobId: v.string(),
          label: v.string(),
          runAt: v.string(),
          action: v.object({ type: v.picklist(["notify", "event"]) }),
          state: v.string(),
        }),
        errors: ["RECIPIENT_NOT_FOUND", "SOUND_NOT_FOUND", "NOT_CONFIGURED", ...IDEMPOTENCY_ERRORS],
        handle(exchange, { body }) {
          const action = actionOf(body.action);
          return idempotency.run(exchange, userOf(exchange), body, db, async (trx) => {
            system.storage.requireSpace();
            const made = await timer.after(body.label, body.delayMs, action, { trx, dedupeKey: body.dedupeKey });
            const { jobId, label, runAt, state } = made;
            return new Reply(201, { jobId, label, runAt: toRfc3339(runAt), action: { type: made.action.type }, state });
          });
        },
      }),
    );
  },
};

function actionOf(action: v.InferOutput<typeof TriggerBody>["action"]): TimerAction {
  if (action.type === "event") {
    return { type: "event", event: action.event, payload: action.payload ?? {}, persist: action.persist === true };
  }
  const { userId, title, body, message, data, sound, channels } = action.payload;
  const text = message ?? body;
  if (text === undefined) {
    throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
      details: [{ path: "action.payload.body", code: "REQUIRED", message: "is required (or message)" }],
    });
  }
  requireServed(channels);
  requireSound(sound);
  return { type: "notify", payload: { userId, title, message: text, data: data ?? null } };
}

export default time;

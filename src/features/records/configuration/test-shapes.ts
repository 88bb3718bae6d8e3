import * as v from "valibot";
import { DURATION_SCHEMA, DURATION_TEXT, durationOf } from "../../../http/api/file-form.ts";
import { instant, jsonObject, object, text } from "../../../http/api/shapes.ts";

/* Tests in configuration files. */

const duration = v.pipe(
  v.custom<string | number>((given) => durationOf(given) !== null, DURATION_TEXT),
  v.metadata(DURATION_SCHEMA),
  v.transform((given) => durationOf(given) ?? 0),
);
const names = v.array(text(255, 1));
const usernames = v.array(v.pipe(text(255, 1), v.toLowerCase()));
const labels = v.record(v.string(), v.string());
const subject = { name: text(255, 1), project: v.optional(text(128, 1)) };

export const AlertTest = object({
  ...subject,
  at: v.optional(instant),
  alert: labels,
  firing: v.optional(v.array(labels)),
  expect: object({
    policy: v.optional(text(255, 1)),
    pages: v.optional(
      v.array(
        object({
          after: duration,
          to: v.pipe(usernames, v.minLength(1)),
          urgency: v.optional(v.picklist(["high", "low"])),
          ways: v.optional(v.record(v.string(), names)),
        }),
      ),
    ),
    never: v.optional(usernames),
    withheld: v.optional(v.picklist(["silenced", "inhibited", "muted", "none"])),
  }),
});
export type AlertTest = v.InferOutput<typeof AlertTest>;

export const EventTest = object({
  ...subject,
  event: jsonObject(262_144),
  expect: object({ rules: v.optional(names), notifies: v.optional(usernames), channels: v.optional(names) }),
});
export type EventTest = v.InferOutput<typeof EventTest>;

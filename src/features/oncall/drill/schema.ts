import * as v from "valibot";
import { doc, example, integer, named, object, pageEntries, text } from "../../../http/api/shapes.ts";
import { DAYS } from "./plan.ts";
import { PROOF_STATES } from "./ways.ts";

export const UserRefs = v.pipe(v.array(text(128, 1)), v.minLength(1), v.maxLength(50, "must be at most 50 users"));

export const StartDrills = example(
  object({
    users: v.optional(
      doc(UserRefs, "Ids, external ids or usernames; default: the caller. For others `oncall:write` is needed"),
    ),
    now: v.optional(doc(v.boolean(), "Also in quiet hours of others, and during their incidents of high urgency")),
  }),
  { users: ["admin"] },
);
export type StartDrills = v.InferOutput<typeof StartDrills>;

const Person = v.object({ id: v.string(), username: v.nullable(v.string()), name: v.nullable(v.string()) });

const DRILL_STATES = ["queued", "trying", "accepted", "confirmed", "failed", "not-sent"] as const;
export type DrillState = (typeof DRILL_STATES)[number];

export const DrillView = named(
  "Drill",
  "A test page to a person, by each way that pages of high urgency use",
  v.object({
    id: v.string(),
    user: Person,
    startedAt: v.string(),
    startedBy: doc(v.nullable(Person), "Null: the weekly plan, or the operator"),
    ways: v.array(
      v.object({
        id: doc(v.string(), "Message id of every attempt, and id of the delivery"),
        name: doc(v.string(), "Such as `mail`, or `channel Telegram`"),
        channel: v.string(),
        state: doc(
          v.picklist(DRILL_STATES),
          "`accepted`: by the other side. `confirmed`: the person tapped. `not-sent`: it did not leave within 15 minutes",
        ),
        acceptedMs: doc(v.nullable(v.number()), "From the start to the acceptance"),
        confirmedMs: doc(v.nullable(v.number()), "From the start to the first tap"),
        error: v.nullable(v.string()),
      }),
    ),
  }),
);
export type DrillView = v.InferOutput<typeof DrillView>;

export const StartedDrills = v.object({ data: v.array(DrillView) });

export const DrillParams = v.object({ id: doc(v.string(), "Id of the drill") });

export const ListDrills = object({
  user: v.optional(doc(text(128, 1), "Drills of this user only")),
  ...pageEntries(),
});
export type ListDrills = v.InferOutput<typeof ListDrills>;

export const WayView = named(
  "WayProof",
  "A way to a person, and what drills have shown of it",
  v.object({
    name: doc(v.string(), "Such as `mail`, or `channel Telegram`"),
    channel: v.string(),
    state: doc(
      v.picklist(PROOF_STATES),
      "`proven`: confirmed within 14 days. `failed`: the last drill failed. `accepted`: not confirmed",
    ),
    text: doc(v.string(), "Such as `proven 6 days ago, 3.1 s`"),
    confirmedAt: v.nullable(v.string()),
    confirmedMs: doc(v.nullable(v.number()), "From the start of the drill to the tap"),
    acceptedAt: v.nullable(v.string()),
    acceptedMs: doc(v.nullable(v.number()), "From the start of the drill to the acceptance"),
    failedAt: v.nullable(v.string()),
    error: v.nullable(v.string()),
  }),
);
export type WayView = v.InferOutput<typeof WayView>;

export const OwnWays = v.object({ data: v.array(WayView) });

export const ProofsQuery = object({ projectId: v.optional(doc(text(64, 1), "Id or slug of a project")) });
export type ProofsQuery = v.InferOutput<typeof ProofsQuery>;

export const Proofs = named(
  "OnCallProofs",
  "Who is on call within 7 days, and whether pages are known to reach them",
  v.object({
    data: v.array(
      v.object({
        user: Person,
        onCallFrom: doc(v.string(), "Start of the first shift within 7 days, or now"),
        schedule: doc(v.string(), "Name of its schedule"),
        isProven: doc(v.boolean(), "A tap within 14 days has proven one of the ways"),
        takesPart: doc(v.boolean(), "In weekly drills"),
        nextDrillAt: doc(v.nullable(v.string()), "The next weekly drill; null: none"),
        ways: v.array(WayView),
      }),
    ),
  }),
);

const day = v.nullable(v.picklist(DAYS));
const hour = v.nullable(integer(0, 23));

export const DrillPreferences = named(
  "DrillPreferences",
  "Get when the caller has weekly drills",
  v.object({
    takesPart: v.boolean(),
    day: doc(v.picklist(DAYS), "In the caller's time zone"),
    hour: v.number(),
    timezone: v.string(),
    isEnabled: doc(v.boolean(), "Whether the server has weekly drills: `drill.enabled`"),
    nextAt: doc(
      v.nullable(v.string()),
      "The next weekly drill; null: none, such as for who is not on call within 7 days",
    ),
  }),
);

export const UpdateDrillPreferences = example(
  object({
    takesPart: v.optional(doc(v.boolean(), "Whether the caller has weekly drills while on call; default true")),
    day: v.optional(doc(day, "Day of the week; null: `drill.day`")),
    hour: v.optional(doc(hour, "Hour of the day in the caller's time zone; null: `drill.hour`")),
  }),
  { day: "tuesday", hour: 10 },
);
export type UpdateDrillPreferences = v.InferOutput<typeof UpdateDrillPreferences>;

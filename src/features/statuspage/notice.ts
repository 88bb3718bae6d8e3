import * as v from "valibot";
import { listing } from "../../http/api/listing.ts";
import {
  bytes,
  column,
  computed,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../http/api/resource.ts";
import { doc, text } from "../../http/api/shapes.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    status_notices: NoticeRow;
    status_subscribers: SubscriberRow;
  }
}

const NOTICE_STATES = [
  "investigating",
  "identified",
  "monitoring",
  "resolved",
  "scheduled",
  "in_progress",
  "completed",
] as const;
export type NoticeState = (typeof NOTICE_STATES)[number];

const state = v.picklist(NOTICE_STATES);
export const noticeState = doc(
  state,
  "Of an incident: `investigating`, `identified`, `monitoring`, `resolved`; of a maintenance: `scheduled`, `in_progress`, `completed`",
);

/** A disturbance or planned work that a status page tells of. */
export const StatusNotice = resource("StatusNotice", "An announcement of a status page", "status_notices", () => ({
  id: stored(v.string()),
  projectId: stored(v.string()),
  kind: given(v.picklist(["incident", "maintenance"]), "A disturbance, or planned work").atCreation(),
  title: given(text(200, 1), "Public"),
  state: computed(state),
  components: given(
    v.pipe(v.array(v.string()), v.maxLength(100)),
    "Ids of the components in question",
    json<string[]>(),
  ).or("[]"),
  startsAt: stored(v.string(), time),
  /** The planned end of a maintenance. */
  endsAt: stored(v.nullable(v.string()), orNull(time)),
  resolvedAt: stored(v.nullable(v.string()), orNull(time)),
  updates: computed(v.array(v.object({ at: v.string(), state, text: v.string() }))),
  createdAt: stored(v.string(), time),
  version: stored(v.number()).or(1),
  createdBy: column(v.nullable(v.string())),
  updatedAt: column(v.number()),
}));
export type NoticeRow = RowOf<typeof StatusNotice>;

export const noticeList = listing(StatusNotice, () => ({}));

export const StatusSubscriber = resource(
  "StatusSubscriber",
  "A subscriber of a status page",
  "status_subscribers",
  () => ({
    id: stored(v.string()),
    address: column(bytes).shownAs(doc(v.string(), "The mail address")),
    confirmedAt: stored(v.nullable(v.string()), orNull(time)),
    createdAt: stored(v.string(), time),
    projectId: column(v.string()),
    /** Keyed hash of the address: one subscription per page and address. */
    hash: column(v.string()),
    /** When the last mail that asks for a confirmation was sent. */
    mailedAt: column(v.number()),
  }),
);
export type SubscriberRow = RowOf<typeof StatusSubscriber>;

export const subscriberList = listing(StatusSubscriber, () => ({}));

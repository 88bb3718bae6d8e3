import * as v from "valibot";
import type { Principal } from "../../core/caller.ts";
import { listing } from "../../http/api/listing.ts";
import {
  bytes,
  column,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../http/api/resource.ts";
import { doc, integer, jsonObject, selfChanging, text } from "../../http/api/shapes.ts";
import { hasTokenScope } from "../../http/server/access.ts";
import { owned } from "../access/index.ts";
import { EventTypePattern } from "../events/index.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    channels: ChannelRow;
  }
}

export const MAX_TEMPLATE_BYTES = 65_536;
const MAX_PATTERNS = 50;
export const boolean = v.boolean("must be true or false");

/** A way to a chat, push or paging service, of a user or a project. */
export const Channel = resource("Channel", "A channel, without its secrets", "channels", () => ({
  id: stored(v.string()),
  name: given(text(100, 1), "Name for people"),
  preset: given(text(40, 1), "Name of the preset").atCreation(),
  projectId: stored(v.nullable(v.string())).or(null),
  userId: stored(doc(v.nullable(v.string()), "Owner; null for a channel of a project")).or(null),
  /** JSON of those that are not secret. */
  fields: column(v.string()).shownAs(
    doc(v.record(v.string(), v.string()), "Secrets are `••••`, with their last four characters if they are long"),
  ),
  eventTypes: given(
    v.pipe(v.array(EventTypePattern), v.minLength(1, "must name at least one type"), v.maxLength(MAX_PATTERNS)),
    'Event types or prefixes to send for; `notification` for those without an event. Default ["*"]',
    json<string[]>(),
  ).or('["*"]'),
  minPriority: given(integer(0, 1000), "Notifications of lower priority are not sent. Default 0").or(0),
  sendResolved: given(boolean, "Whether the end of an alert is a new message if its first one cannot change", flag).or(
    1,
  ),
  acknowledgeLink: given(
    boolean,
    "Whether messages of incidents have a link that acknowledges without a login. Default true; a project's channels only",
    flag,
  ).or(1),
  template: given(
    v.nullable(jsonObject(MAX_TEMPLATE_BYTES)),
    "The channel's own `title` and `message` templates; for the preset `http` also `request`, `ok` and `errors`",
    orNull(json<Readonly<Record<string, unknown>>>()),
  )
    .or(null)
    .shown(v.nullable(v.record(v.string(), v.unknown()))),
  active: given(boolean, "False disables it; default true", flag).or(1),
  failures: stored(selfChanging(doc(v.number(), "Consecutive failures"))).or(0),
  disabledAt: stored(selfChanging(v.nullable(v.string())), orNull(time)).or(null),
  disabledReason: stored(selfChanging(doc(v.nullable(v.string()), "Why Prism disabled it"))).or(null),
  acceptedAt: stored(
    selfChanging(
      doc(
        v.nullable(v.string()),
        "When it last accepted a message or a test with its present settings, to about an hour; null: never",
      ),
    ),
    orNull(time),
  ).or(null),
  createdBy: stored(v.nullable(v.string())),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  /** Sealed JSON of the secret fields. */
  secrets: column(bytes),
}));
export type ChannelRow = RowOf<typeof Channel>;

export const channelList = listing(Channel, () => ({}));

export const channelAccess = owned<ChannelRow, Principal>(Channel, {
  read: "events:read",
  write: "channels:write",
  missing: "CHANNEL_NOT_FOUND",
  noun: "channel",
  ofNone: (principal, { userId }) =>
    principal.kind === "operator" ||
    (principal.kind !== "apiKey" && userId === principal.userId && hasTokenScope(principal, ["account:own"])),
});

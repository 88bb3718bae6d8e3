import * as v from "valibot";
import { doc, pattern } from "../../../http/api/shapes.ts";
import { isChannelName, PUSHER_CHANNEL } from "../../../live/protocols/pusher/pusher-channel.ts";

/** Attributes of a channel: the members of a presence channel, and its number of sockets. */
const ATTRIBUTES = ["user_count", "subscription_count"] as const;
export type Attribute = (typeof ATTRIBUTES)[number];
/** Further attributes of a single channel: the last event of a cache channel. */
const CHANNEL_ATTRIBUTES = [...ATTRIBUTES, "cache"] as const;
export type ChannelAttribute = (typeof CHANNEL_ATTRIBUTES)[number];

/** Limits of Pusher's own API. */
const MAX_CHANNELS = 100;
const MAX_BATCH = 10;
const MAX_NAME_LENGTH = 200;

/** As the server's own events are called, for which clients would take them. */
const RESERVED_NAME = /^pusher(_internal)?:/;
/** A lone surrogate or a control character: nothing that the log keeps as it came. */
const UNKEPT = /\p{Cs}|\p{Cc}/u;

export const ChannelName = doc(
  pattern(PUSHER_CHANNEL, "must be 1 to 164 letters, digits or any of _ - = @ , . ;"),
  "Name of the channel",
);
export const SocketId = doc(
  pattern(/^\d{1,20}\.\d{1,20}$/, "must be a socket id such as 1234.5678"),
  "Socket id of the connection",
);

/** An event's target: a channel, or `#server-to-user-<id>` for a user, as `sendToUser` has it. */
const Target = v.pipe(
  v.string("must be a string"),
  v.check(
    isChannelName,
    "must be 1 to 164 letters, digits or any of _ - = @ , . ; or #server-to-user- and an id of up to 128 characters",
  ),
);

const EventName = v.pipe(
  v.string("must be a string"),
  v.minLength(1, "must not be empty"),
  v.maxLength(MAX_NAME_LENGTH, `must be at most ${MAX_NAME_LENGTH} characters long`),
  v.check((name) => !UNKEPT.test(name), "must be Unicode without control characters"),
  v.check((name) => !RESERVED_NAME.test(name), "must not begin with pusher: or pusher_internal:"),
);

/** Attributes separated by commas. */
function attributes<const T extends string>(names: readonly T[]) {
  return v.pipe(
    v.string("must be a string"),
    v.transform((text) => (text === "" ? [] : text.split(","))),
    v.array(v.picklist(names, `must be one of ${names.join(", ")}`)),
  );
}

const Info = attributes(ATTRIBUTES);

const common = {
  name: EventName,
  // Its size is looked at later: too large is an answer of its own.
  data: v.string("must be a string, which JSON is encoded into"),
  socket_id: v.nullish(SocketId),
  info: v.nullish(Info),
};

/** `POST /apps/:appId/events`. Members of the client's own are ignored, as Pusher does. */
export const TriggerBody = v.pipe(
  v.object({
    ...common,
    channels: v.nullish(
      v.pipe(
        v.array(Target),
        v.minLength(1, "must name a channel"),
        v.maxLength(MAX_CHANNELS, `must be at most ${MAX_CHANNELS} channels`),
      ),
    ),
    channel: v.nullish(Target),
  }),
  v.check(({ channel, channels }) => !channel !== !channels, "name either channels or one channel"),
);

const BatchEvent = v.object({ ...common, channel: Target });
export type BatchEvent = v.InferOutput<typeof BatchEvent>;

/** `POST /apps/:appId/batch_events`. */
export const BatchBody = v.object({
  batch: v.pipe(
    v.array(BatchEvent),
    v.minLength(1, "must have an event"),
    v.maxLength(MAX_BATCH, `must be at most ${MAX_BATCH} events`),
  ),
});

/** The parameters of the reading calls; those of the signature are added to them. */
export const ChannelsQuery = v.object({
  filter_by_prefix: v.optional(v.string(), ""),
  info: v.optional(Info, ""),
});
export const ChannelQuery = v.object({ info: v.optional(attributes(CHANNEL_ATTRIBUTES), "") });
export const ChannelParams = v.object({ appId: v.string(), name: ChannelName });

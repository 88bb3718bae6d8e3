import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Where uploaded sounds are kept, and how their links look. */
export const STORAGE_OPTIONS = {
  kind: option(
    k.oneOf("local", "s3"),
    "local",
    "where new sounds are kept: in the data directory, or in a bucket. What is there already stays where it is",
  ),
  s3: {
    bucket: optional(k.text(1, 63), "the bucket, with storage.kind s3", { seed: ["S3_BUCKET"] }),
    region: optional(k.text(1, 64), "region of the bucket", { seed: ["S3_REGION", "AWS_REGION"] }),
    endpoint: optional(
      k.httpUrl(),
      "URL of another service that speaks S3; by default that of AWS in the region. A private address needs webhooks.allowPrivateCidrs",
      { seed: ["S3_ENDPOINT"] },
    ),
    accessKeyId: optional(k.text(1, 256), "access key that may read, write and delete there", {
      seed: ["S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
    }),
    secretAccessKey: optional(k.text(1, 256), "secret of that access key", {
      seed: ["S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"],
      secret: true,
    }),
  },
  cdnUrl: optional(
    k.httpUrl(),
    "beginning of the links to sounds: a CDN that fetches /media from this server; by default publicUrl",
    { seed: ["CDN_URL"] },
  ),
  signTtlMs: option(
    k.duration(MINUTE, 24 * HOUR),
    HOUR,
    "how long the link to a sound in a rule or notification is good at least",
  ),
};

/** Pusher Channels, or the program's own in its place. */
export const PUSHER_OPTIONS = {
  mode: option(
    k.oneOf("embedded", "remote"),
    "embedded",
    "who serves clients of Pusher: this program itself, or an app at Pusher, to which notifications are then sent",
  ),
  appId: optional(k.text(1, 64), "id of the app; by default one is made at the first start", {
    seed: ["PUSHER_APP_ID"],
  }),
  key: optional(k.text(1, 64), "key of the app, which clients know", { seed: ["PUSHER_KEY"] }),
  secret: optional(k.text(1, 128), "secret of the app, which signs", { seed: ["PUSHER_SECRET"], secret: true }),
  cluster: optional(k.hostText(), "cluster of the app, such as eu, with pusher.mode remote", {
    seed: ["PUSHER_CLUSTER"],
  }),
  cacheTtlMs: option(
    k.duration(MINUTE, 24 * HOUR),
    30 * MINUTE,
    "how long a cache channel sends its last event to new subscribers; 30 minutes as at Pusher",
  ),
  encryptionMasterKey: optional(
    k.key32(),
    "master key of encrypted channels (32 bytes, base64 or hex), the same that backends give to their Pusher libraries; with it the auth route signs for private-encrypted- channels",
    { secret: true },
  ),
  webhooks: {
    urls: option(k.list(k.httpUrl().schema), [], "where Pusher's own webhooks are sent; none by default"),
    events: option(
      k.list(k.pusherWebhookEvent),
      ["channel_occupied", "channel_vacated", "member_added", "member_removed", "cache_miss"],
      "which of Pusher's events are sent there; client_event and subscription_count as well where they are named",
    ),
  },
  endpoint: optional(
    k.httpUrl(),
    "URL of another server with Pusher's REST API, in place of the cluster's. A private address needs webhooks.allowPrivateCidrs",
  ),
};

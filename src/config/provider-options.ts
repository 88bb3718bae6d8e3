import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Storage of uploaded sounds, and their links. */
export const STORAGE_OPTIONS = {
  kind: option(
    k.oneOf("local", "s3"),
    "local",
    "storage of new sounds: the data directory or an S3 bucket; existing sounds are not moved",
  ),
  s3: {
    bucket: optional(k.text(1, 63), "bucket of the sounds, if storage.kind is s3", { seed: ["S3_BUCKET"] }),
    region: optional(k.text(1, 64), "region of the bucket", { seed: ["S3_REGION", "AWS_REGION"] }),
    endpoint: optional(
      k.httpUrl(),
      "URL of another S3-compatible service; by default AWS in that region; a private address needs " +
        "webhooks.allowPrivateCidrs",
      { seed: ["S3_ENDPOINT"] },
    ),
    accessKeyId: optional(k.text(1, 256), "access key with read, write and delete permission on the bucket", {
      seed: ["S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
    }),
    secretAccessKey: optional(k.text(1, 256), "secret of that access key", {
      seed: ["S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"],
      secret: true,
    }),
  },
  cdnUrl: optional(
    k.httpUrl(),
    "base URL of links to sounds, for a CDN that fetches /media from this server; by default publicUrl",
    { seed: ["CDN_URL"] },
  ),
  signTtlMs: option(
    k.duration(MINUTE, 24 * HOUR),
    HOUR,
    "minimum lifetime of the link to a sound in a rule or notification",
  ),
};

/** The embedded server for Pusher clients, or an app at Pusher. */
export const PUSHER_OPTIONS = {
  mode: option(
    k.oneOf("embedded", "remote"),
    "embedded",
    "server for Pusher clients: embedded is this program; remote is an app at Pusher, to which notifications " +
      "are sent",
  ),
  appId: optional(k.text(1, 64), "id of the app; by default generated at the first start", {
    seed: ["PUSHER_APP_ID"],
  }),
  key: optional(k.text(1, 64), "public key of the app, which clients use", { seed: ["PUSHER_KEY"] }),
  secret: optional(k.text(1, 128), "secret of the app, which signs", { seed: ["PUSHER_SECRET"], secret: true }),
  cluster: optional(k.hostText(), "cluster of the app, such as eu, if pusher.mode is remote", {
    seed: ["PUSHER_CLUSTER"],
  }),
  cacheTtlMs: option(
    k.duration(MINUTE, 24 * HOUR),
    30 * MINUTE,
    "how long a cache channel sends its last event to new subscribers; 30 minutes as at Pusher",
  ),
  encryptionMasterKey: optional(
    k.key32(),
    "master key of encrypted channels (32 bytes, base64 or hex), the same as in the Pusher libraries of " +
      "backends; with it the auth route signs for private-encrypted- channels",
    { secret: true },
  ),
  webhooks: {
    urls: option(k.list(k.httpUrl().schema), [], "URLs that receive Pusher's own webhooks"),
    events: option(
      k.list(k.pusherWebhookEvent),
      ["channel_occupied", "channel_vacated", "member_added", "member_removed", "cache_miss"],
      "Pusher events to send there; client_event and subscription_count only if listed",
    ),
  },
  endpoint: optional(
    k.httpUrl(),
    "URL of another server with Pusher's REST API, instead of the cluster's; a private address needs " +
      "webhooks.allowPrivateCidrs",
  ),
};

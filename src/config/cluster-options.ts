import * as v from "valibot";
import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const SECRET_CHARACTERS = 32;

/** `nats://` says no more than host and port; `tls://` is kept, as it demands TLS. */
const server: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.transform((text) =>
    text
      .trim()
      .replace(/\/$/, "")
      .replace(/^nats:\/\//i, "")
      .replace(/^tls:/i, "tls:"),
  ),
  v.transform((text) => (/:\d+$/.test(text) ? text : `${text}:4222`)),
  v.regex(
    /^(?:tls:\/\/)?[A-Za-z0-9.-]{1,253}:\d{1,5}$/,
    "must be host:port, nats://host:port or tls://host:port, such as nats-1.example.com:4222; " +
      "a name and a password are cluster.user and cluster.password",
  ),
);

const clusterSecret: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.minLength(SECRET_CHARACTERS, `must have at least ${SECRET_CHARACTERS} characters`),
);

/** Part of names of subjects and streams. */
const word: k.Kind<string> = {
  schema: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,40}$/, "must have 1 to 40 letters, digits, _ or -")),
  fromText: (text) => text.trim(),
};

/** Several machines: docs/cluster.md. Without `servers` there is no cluster. */
export const CLUSTER_OPTIONS = {
  servers: option(
    k.list(server),
    [],
    "host:port of each nats-server with JetStream, or its URL with nats:// or tls://; with them this server is a node of " +
      "a cluster",
  ),
  name: option(word, "prism", "name of the cluster, the same on all nodes"),
  node: optional(word, "name of this node, another on each; by default the name of the machine"),
  advertise: optional(k.baseUrl(), "URL under which the other nodes reach this one"),
  secret: optional(
    { schema: clusterSecret, fromText: (text) => text },
    `secret of the cluster, at least ${SECRET_CHARACTERS} characters, the same on all nodes: records are encrypted with it`,
    { secret: true },
  ),
  previousSecrets: option(
    k.list(clusterSecret),
    [],
    "earlier secrets of the cluster, with which records are still read",
    {
      secret: true,
    },
  ),
  replicas: option(k.integer(1, 5), 3, "number of nats-servers that store each record; used when the log is created"),
  user: optional(k.text(), "user of the nats-servers"),
  password: optional(k.text(), "password of that user", { secret: true }),
  credentialsFile: optional(k.text(), "file with the credentials for the nats-servers, in place of user and password"),
  caFile: optional(
    k.text(),
    "file with the authority of the certificates of the nats-servers and of other nodes; without it those of the " +
      "system count, and connections to nats-servers use TLS only where a server demands it",
  ),
  role: option(k.oneOf("auto", "standby"), "auto", "standby: this node follows and never leads"),
  deadMs: option(k.duration(1500, 60_000), 3000, "how long the leader may be silent before another node takes over"),
  holdMs: option(
    k.duration(0, 120_000),
    20_000,
    "how long a request waits for a leader before it is answered with 503 and NO_LEADER",
  ),
  emergencyAfterMs: option(
    k.duration(1000, 3_600_000),
    60_000,
    "how long the cluster may be without a leader before the contacts of emergency are called, and pages leave without one",
  ),
  degraded: option(
    k.oneOf("page", "hold"),
    "page",
    "page: after cluster.emergencyAfterMs without a leader each node pages people from a copy of its own database, " +
      "so a page may be repeated; hold: it waits",
  ),
  allowOldServer: option(
    k.boolean(),
    false,
    "accepts a nats-server that is older than 2.10.23, which may lose what it acknowledged; for tests",
  ),
};

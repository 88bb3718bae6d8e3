import * as v from "valibot";
import { claimsOwnSource, OWN_SOURCE } from "../../../core/text/vocabulary.ts";
import {
  bytes,
  type ColumnsOf,
  column,
  computed,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, integer, stringRecord, text } from "../../../http/api/shapes.ts";
import { forwardHeaders, forwardShown } from "../forward/index.ts";
import { mappingSchema, verifyRow } from "./preset.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    receivers: ReceiverRow;
  }
}

/** The largest limit of a request's body. */
export const MAX_BODY_BYTES = 26_214_400;
/** Who is notified of its events that no rule takes. */
export const NOTIFY = ["members", "none"] as const;

const name = v.pipe(
  text(100, 1),
  v.check((value) => !claimsOwnSource(value), `must not start with ${OWN_SOURCE}`),
);

/** A URL at which another program delivers requests. */
export const Receiver = resource("Receiver", "A URL at which another program delivers requests", "receivers", () => ({
  id: stored(v.string()),
  projectId: stored(v.string()),
  name: given(name, "Unique in the project; the source of its events").shown(v.string()),
  preset: given(v.pipe(v.string(), v.maxLength(40)), "Name of a preset: what sends the requests"),
  active: given(v.boolean(), "A paused receiver answers 403", flag).inColumn("isActive").or(1),
  mapping: given(
    v.nullable(mappingSchema),
    "Members that override those of the preset's mapping; null removes one",
    orNull(json()),
  )
    .or(null)
    .shown(v.nullable(v.record(v.string(), v.unknown()))),
  verify: given(
    v.nullable(v.pipe(v.array(verifyRow), v.maxLength(8))),
    "How the secret is checked, in place of the preset's rows",
    orNull(json()),
  )
    .or(null)
    .shown(v.nullable(v.array(v.record(v.string(), v.unknown())))),
  labels: given(stringRecord(8192), "Labels of each of its alerts and events, such as `team`", json())
    .or("{}")
    .shown(v.record(v.string(), v.string())),
  /** Whether it notifies its project's members of events that match no rule. */
  notify: given(
    v.picklist(NOTIFY, "must be members or none"),
    "Who is notified of its events, without a level and from `warn` on, while no rule matches them: the project's " +
      "`members` (default; of `default` the explicit ones, else the administrators), or `none`",
    {
      ...flag,
      shape: v.picklist(NOTIFY),
      encode: (who) => flag.encode(who === "members"),
      decode: (column) => (flag.decode(column) ? "members" : "none"),
    },
  )
    .inColumn("notifies")
    .or(1),
  forwardHeaders: forwardHeaders(),
  forward: computed(forwardShown),
  hasSecret: computed(v.boolean()),
  previousSecretUntil: stored(doc(v.nullable(v.string()), "Until when a replaced secret works"), orNull(time)).or(null),
  prefix: stored(doc(v.string(), "First characters of the URL's token")),
  previousUntil: stored(doc(v.nullable(v.string()), "Until when a replaced URL works"), orNull(time)).or(null),
  maxBodyBytes: given(integer(1024, MAX_BODY_BYTES), "Limit of a request's body; default 1 MiB").or(1_048_576),
  perSecond: given(integer(1, 10_000), "Requests per second, on average; default 60").or(60),
  burst: given(integer(1, 100_000), "Requests at once; default 600").or(600),
  lastRequestAt: computed(v.nullable(v.string())),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  version: stored(v.number()).or(1),
  hash: column(v.string()),
  /** A replaced token, valid until `previousUntil`. */
  previousHash: column(v.nullable(v.string())).or(null),
  /** Sealed. */
  secret: column(v.nullable(bytes)).or(null),
  previousSecret: column(v.nullable(bytes)).or(null),
  /** Sealed. */
  forwardUrl: column(v.nullable(bytes)).or(null),
}));
export type ReceiverRow = RowOf<typeof Receiver>;
/** The columns that a caller sets, besides secrets. */
export type ReceiverSettings = ColumnsOf<typeof Receiver>;

import * as v from "valibot";
import { claimsOwnSource, OWN_SOURCE } from "../../core/vocabulary.ts";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, integer, named, object, stringRecord, text, uuid } from "../../http/shapes.ts";
import { MAX_BODY_BYTES } from "./door.ts";
import { mappingSchema, verifyRow } from "./preset.ts";

const name = doc(
  v.pipe(
    text(100, 1),
    v.check((value) => !claimsOwnSource(value), `must not start with ${OWN_SOURCE}`),
  ),
  "Unique in the project; the source of its events",
);
const preset = doc(v.pipe(v.string(), v.maxLength(40)), "Name of a preset: what sends the requests");
const secret = doc(
  v.pipe(v.string(), v.minLength(6), v.maxLength(500)),
  "Checked as the preset says: the key of signatures, or a token or password. Stored sealed",
);
const mapping = doc(mappingSchema, "Members that override those of the preset's mapping; null removes one");
const verify = doc(
  v.pipe(v.array(verifyRow), v.maxLength(8)),
  "How the secret is checked, in place of the preset's rows",
);
const labels = doc(stringRecord(8192), "Labels of each of its alerts and events, such as `team`");
const maxBodyBytes = doc(integer(1024, MAX_BODY_BYTES), "Limit of a request's body; default 1 MiB");
const perSecond = doc(integer(1, 10_000), "Requests per second, on average; default 60");
const burst = doc(integer(1, 100_000), "Requests at once; default 600");
const active = doc(v.boolean(), "A paused receiver answers 403");
const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: the default project"),
);
/** Who is notified of its events that no rule takes. */
export const NOTIFY = ["members", "none"] as const;
const notify = doc(
  v.picklist(NOTIFY, "must be members or none"),
  "Who is notified of its events, without a level and from `warn` on, while no rule takes them: the project's " +
    "`members` (default; of `default` the explicit ones, else the administrators), or `none`",
);
const graceMs = doc(integer(0, 604_800_000), "Time for which the old one still works; default 0");

export const ListReceivers = object({ projectId, ...pageEntries() });
export type ListReceivers = v.InferOutput<typeof ListReceivers>;

export const ReceiverParams = object({ id: doc(uuid, "Id of the receiver") });
export const RequestParams = object({
  id: doc(uuid, "Id of the receiver"),
  requestId: doc(uuid, "Id of the request in the log"),
});

const settings = {
  secret: v.optional(v.nullable(secret)),
  mapping: v.optional(v.nullable(mapping)),
  verify: v.optional(v.nullable(verify)),
  labels: v.optional(labels),
  maxBodyBytes: v.optional(maxBodyBytes),
  perSecond: v.optional(perSecond),
  burst: v.optional(burst),
  active: v.optional(active),
  notify: v.optional(notify),
};

export const CreateReceiver = example(object({ projectId, name, preset, ...settings }), {
  name: "Backups",
  preset: "generic",
  labels: { team: "ops" },
});
export type CreateReceiver = v.InferOutput<typeof CreateReceiver>;

export const UpdateReceiver = example(object({ name: v.optional(name), preset: v.optional(preset), ...settings }), {
  mapping: { level: "= body.severity" },
});
export type UpdateReceiver = v.InferOutput<typeof UpdateReceiver>;

export const RotateReceiver = example(
  object({
    graceMs: v.optional(graceMs),
    secret: v.optional(doc(secret, "A new secret: it is replaced in place of the URL")),
  }),
  { graceMs: 3_600_000 },
);
export type RotateReceiver = v.InferOutput<typeof RotateReceiver>;

const entries = {
  id: v.string(),
  projectId: v.string(),
  name: v.string(),
  preset: v.string(),
  active: v.boolean(),
  mapping: v.nullable(v.record(v.string(), v.unknown())),
  verify: v.nullable(v.array(v.record(v.string(), v.unknown()))),
  labels: v.record(v.string(), v.string()),
  notify: v.picklist(NOTIFY),
  hasSecret: v.boolean(),
  previousSecretUntil: doc(v.nullable(v.string()), "Until when a replaced secret works"),
  prefix: doc(v.string(), "First characters of the URL's token"),
  previousUntil: doc(v.nullable(v.string()), "Until when a replaced URL works"),
  maxBodyBytes: v.number(),
  perSecond: v.number(),
  burst: v.number(),
  lastRequestAt: v.nullable(v.string()),
  createdBy: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  version: v.number(),
};

export const ReceiverView = named("Receiver", "A URL at which another program delivers requests", v.object(entries));
export type ReceiverView = v.InferOutput<typeof ReceiverView>;

export const IssuedReceiver = named(
  "IssuedReceiver",
  "A receiver with its new URL",
  v.object({
    ...entries,
    url: doc(v.string(), "Where the program delivers; a credential, returned only once"),
    mailAddress: doc(
      v.nullable(v.string()),
      "Where it sends mail, for the preset mail if mailIn.port is set; a credential",
    ),
  }),
);

export const PresetView = named(
  "ReceiverPreset",
  "How requests of one sender are verified and read",
  v.object({
    name: v.string(),
    title: v.string(),
    group: v.string(),
    docs: doc(v.string(), "Its page, docs/integrations/<docs>.md"),
    secret: v.picklist(["none", "optional", "required"]),
    secretTitle: doc(v.nullable(v.string()), "What the sender calls the secret"),
    setup: doc(v.array(v.string()), "Steps; {url} is the receiver's URL"),
    methods: v.array(v.string()),
    mapping: v.record(v.string(), v.unknown()),
    sample: doc(v.record(v.string(), v.unknown()), "A request as the sender makes it"),
  }),
);

export const RequestView = named(
  "ReceiverRequest",
  "A request in the log of a receiver, without secrets",
  v.object({
    id: v.string(),
    receiverId: v.string(),
    at: v.string(),
    result: v.picklist(["accepted", "replayed", "unmapped", "ignored", "handshake", "refused"]),
    status: doc(v.number(), "HTTP status of the answer"),
    method: v.string(),
    query: v.string(),
    headers: v.record(v.string(), v.string()),
    bytes: doc(v.number(), "Length of the whole body"),
    body: doc(v.string(), "The first 64 KiB"),
    isCut: v.boolean(),
    outcome: doc(v.record(v.string(), v.unknown()), "What was stored, or why it was refused"),
  }),
);

export const ListRequests = object(pageEntries());
export type ListRequests = v.InferOutput<typeof ListRequests>;

const givenRequest = object({
  method: v.optional(doc(v.picklist(["GET", "POST", "PUT"]), "Default POST")),
  query: v.optional(doc(v.pipe(v.string(), v.maxLength(8192)), "Without ?")),
  headers: v.optional(doc(stringRecord(16_384), "By name")),
  contentType: v.optional(doc(v.pipe(v.string(), v.maxLength(200)), "Default application/json")),
  body: v.optional(doc(v.pipe(v.string(), v.maxLength(262_144)), "As it is sent")),
});
export type GivenRequest = v.InferOutput<typeof givenRequest>;

export const TestReceiver = example(
  object({
    mapping: v.optional(v.nullable(mapping)),
    request: v.optional(doc(givenRequest, "The request to try; default: the sample of the preset")),
    requestId: v.optional(doc(uuid, "Id of a request in the log, to try that one")),
  }),
  { mapping: { title: "= body.title" }, request: { body: '{"title":"Disk almost full"}' } },
);
export type TestReceiver = v.InferOutput<typeof TestReceiver>;

export const TestView = named(
  "ReceiverTest",
  "What a request would store",
  v.object({
    result: v.picklist(["accepted", "unmapped", "ignored"]),
    ignored: doc(v.number(), "Elements that the mapping leaves out"),
    problem: doc(v.nullable(v.string()), "Why the mapping was stopped, or the values that it left out and why"),
    events: v.array(
      v.object({
        type: v.string(),
        level: v.string(),
        source: v.nullable(v.string()),
        occurredAt: v.nullable(v.string()),
        payload: v.record(v.string(), v.unknown()),
      }),
    ),
    alerts: v.array(
      v.object({
        key: v.string(),
        status: v.string(),
        labels: v.record(v.string(), v.string()),
        annotations: v.record(v.string(), v.string()),
        generatorUrl: v.nullable(v.string()),
        startsAt: v.nullable(v.string()),
        endsAt: v.nullable(v.string()),
      }),
    ),
  }),
);

export const ReplayView = named(
  "ReceiverReplay",
  "What a request of the log has stored again",
  v.object({
    result: v.string(),
    eventIds: v.array(v.string()),
    alerts: v.array(v.object({ key: v.string(), outcome: v.string(), alertId: v.nullable(v.string()) })),
  }),
);

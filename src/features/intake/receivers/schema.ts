import * as v from "valibot";
import { once } from "../../../core/once.ts";
import { doc, example, integer, named, object, pageEntries, stringRecord, uuid } from "../../../http/api/shapes.ts";
import { forwardUrl } from "../forward/index.ts";
import { Receiver } from "./receiver.ts";

export const secret = doc(
  v.pipe(v.string(), v.minLength(6), v.maxLength(500)),
  "Checked as the preset says: the key of signatures, or a token or password. Stored sealed",
);
const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project; default: the default project"),
);
const graceMs = doc(integer(0, 604_800_000), "Time for which the old one still works; default 0");

export const ListReceivers = object({ projectId, ...pageEntries() });
export type ListReceivers = v.InferOutput<typeof ListReceivers>;

export const ReceiverParams = object({ id: doc(uuid, "Id of the receiver") });
export const RequestParams = object({
  id: doc(uuid, "Id of the receiver"),
  requestId: doc(uuid, "Id of the request in the log"),
});

export const CreateReceiver = () =>
  example(object({ projectId, ...Receiver.forCreate, secret: v.optional(v.nullable(secret)), forwardUrl }), {
    name: "Backups",
    preset: "generic",
    labels: { team: "ops" },
  });
export type CreateReceiver = v.InferOutput<ReturnType<typeof CreateReceiver>>;

export const UpdateReceiver = () =>
  example(object({ ...Receiver.forUpdate, secret: v.optional(v.nullable(secret)), forwardUrl }), {
    mapping: { level: "= body.severity" },
  });
export type UpdateReceiver = v.InferOutput<ReturnType<typeof UpdateReceiver>>;

export const RotateReceiver = example(
  object({
    graceMs: v.optional(graceMs),
    secret: v.optional(doc(secret, "A new secret: it is replaced in place of the URL")),
  }),
  { graceMs: 3_600_000 },
);
export type RotateReceiver = v.InferOutput<typeof RotateReceiver>;

export const IssuedReceiver = once(() =>
  named(
    "IssuedReceiver",
    "A receiver with its new URL",
    v.object({
      ...Receiver.shown,
      url: doc(v.string(), "Where the program delivers; a credential, returned only once"),
      mailAddress: doc(
        v.nullable(v.string()),
        "Where it sends mail, for the preset mail if mailIn.port is set; a credential",
      ),
    }),
  ),
);

export const RotatedReceiver = once(() =>
  named(
    "RotatedReceiver",
    "A receiver with its new URL, or with another secret",
    v.object({
      ...IssuedReceiver().entries,
      url: doc(v.nullable(v.string()), "As of a new receiver; null when the secret was replaced"),
    }),
  ),
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

export const TestReceiver = () =>
  example(
    object({
      mapping: Receiver.forUpdate.mapping,
      request: v.optional(doc(givenRequest, "The request to try; default: the sample of the preset")),
      requestId: v.optional(doc(uuid, "Id of a request in the log, to try that one")),
    }),
    { mapping: { title: "= body.title" }, request: { body: '{"title":"Disk almost full"}' } },
  );
export type TestReceiver = v.InferOutput<ReturnType<typeof TestReceiver>>;

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

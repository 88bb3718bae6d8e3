import * as v from "valibot";
import { doc, example, integer, jsonObject, named, object, pattern, text } from "../../../http/api/shapes.ts";

/* What `prism plan` and `prism apply` send, and what they are told. */

/** Objects of all files of one apply. */
const MAX_OBJECTS = 2000;
const MAX_SPEC_BYTES = 1_048_576;

const slug = text(64, 1);
const place = text(300, 1);

const GivenObject = object({
  kind: doc(text(40, 1), "Key of its kind in files, such as `heartbeats`"),
  project: v.optional(doc(slug, "Slug of its project; absent: of the server")),
  spec: doc(
    jsonObject(MAX_SPEC_BYTES),
    "Its members as a file has them: names in place of ids, `15m` in place of milliseconds",
  ),
  at: v.optional(doc(place, "Where it stands, such as `duty.yaml:12:5`")),
  renamedFrom: v.optional(doc(text(255, 1), "Its earlier name: it keeps its id, its history and its URLs")),
});
export type GivenObject = v.InferOutput<typeof GivenObject>;

export const SOURCE = pattern(
  /^[a-z0-9][a-z0-9._/-]{0,63}$/,
  "must be 1 to 64 of a-z, 0-9, dot, dash, slash and underscore",
);

export const ConfigurationRequest = example(
  object({
    mode: doc(v.picklist(["plan", "apply"]), "`plan` stores nothing"),
    source: v.optional(doc(SOURCE, "Who owns what these files name; default `files`")),
    lock: v.optional(doc(v.boolean(), "Whether the console and the API refuse to change it; default false")),
    objects: doc(v.pipe(v.array(GivenObject), v.maxLength(MAX_OBJECTS)), "Each object once"),
    secrets: v.optional(
      doc(
        v.record(v.pipe(v.string(), v.maxLength(300)), v.pipe(v.string(), v.maxLength(65_536))),
        "Values of references, such as `env:PRISM_SECRET_ROOM`; a reference without a value keeps what is stored",
      ),
    ),
    prune: v.optional(
      doc(v.boolean(), "Delete what an earlier apply of this source stored and the files no longer have"),
    ),
    allowDeletes: v.optional(doc(integer(0, 10_000), "The exact number of deletions, if they are many")),
    invite: v.optional(doc(v.boolean(), "Send mails to people whose accounts are made; default false")),
    issued: v.optional(doc(v.boolean(), "Whether URLs and keys may be made, which the answer has once; default false")),
    expect: v.optional(doc(text(64, 1), "`state` of the plan: refused if anything has changed since")),
  }),
  {
    mode: "plan",
    source: "files",
    objects: [
      { kind: "heartbeats", project: "default", at: "duty.yaml:3:5", spec: { name: "Nightly", timeout: "1d" } },
    ],
  },
);
export type ConfigurationRequest = v.InferOutput<typeof ConfigurationRequest>;

const which = {
  kind: v.string(),
  project: doc(v.nullable(v.string()), "Slug; null: of the server"),
  name: v.string(),
  at: doc(v.nullable(v.string()), "Where it stands in the files"),
};

const ObjectChange = v.object({
  ...which,
  op: doc(
    v.picklist(["create", "update", "adopt", "rename", "delete"]),
    "`adopt`: it exists, and the files own it from now on",
  ),
  noun: doc(v.string(), "The kind for people, such as `on-call schedule`"),
  members: doc(
    v.array(v.object({ path: v.string(), before: v.unknown(), after: v.unknown() })),
    "What changes, as files have it; secrets are never shown",
  ),
  notes: doc(v.array(v.string()), "What follows from it"),
});
export type ObjectChange = v.InferOutput<typeof ObjectChange>;

const Problem = v.object({
  ...which,
  path: doc(v.string(), "The member, as files have it"),
  code: v.string(),
  message: v.string(),
});
export type Problem = v.InferOutput<typeof Problem>;

const Drift = v.object({
  ...which,
  by: doc(v.nullable(v.string()), "Who changed it last; null: not known, or not for the caller"),
  when: v.nullable(v.string()),
  paths: doc(v.array(v.string()), "The members that differ from what was applied"),
});
export type Drift = v.InferOutput<typeof Drift>;

const people = v.array(v.string());
const OnCallChange = v.object({
  project: v.string(),
  schedule: v.string(),
  from: v.string(),
  to: v.string(),
  before: people,
  after: people,
});
export type OnCallChange = v.InferOutput<typeof OnCallChange>;

export const ConfigurationPlan = named(
  "ConfigurationPlan",
  "What an apply changes, or would change",
  v.object({
    state: doc(v.string(), "Hash of what is stored now, for `expect`"),
    isApplied: v.boolean(),
    changes: v.array(ObjectChange),
    counts: v.object({ created: v.number(), changed: v.number(), deleted: v.number() }),
    unchanged: v.number(),
    leftOver: doc(v.array(v.object(which)), "What the files no longer have; `prune` deletes it"),
    drift: doc(v.array(Drift), "What was changed by hand since the last apply; the files put it back"),
    problems: doc(v.array(Problem), "Why nothing is stored"),
    mayNot: doc(
      v.array(v.object({ kind: v.string(), project: v.nullable(v.string()), right: v.string() })),
      "Rights that the caller lacks",
    ),
    onCall: doc(v.array(OnCallChange), "Who is on call differently in the next weeks"),
    issued: doc(
      v.array(v.object({ ...which, values: v.record(v.string(), v.string()) })),
      "New URLs and keys, which are shown only once",
    ),
  }),
);
export type ConfigurationPlan = v.InferOutput<typeof ConfigurationPlan>;

export const ExportQuery = object({
  project: v.optional(doc(v.union([slug, v.array(slug)]), "Slugs; default: all that the caller reads")),
  people: v.optional(doc(v.picklist(["true", "false"]), "Whether accounts are written, too")),
  secrets: v.optional(
    doc(v.picklist(["env", "omit", "sealed"]), "`env`: references to variables, which is the default"),
  ),
});

export const SealKey = v.object({
  key: doc(v.string(), "`x25519:` and the public key; only the server opens what is sealed for it"),
});

export const ExportedConfiguration = named(
  "ExportedConfiguration",
  "The configuration as files have it",
  v.object({
    document: doc(v.record(v.string(), v.unknown()), "One file; commands write it as YAML"),
    variables: doc(v.array(v.string()), "Variables that its secrets refer to"),
    leftOut: doc(
      v.array(v.object({ kind: v.string(), project: v.nullable(v.string()) })),
      "What the caller may not read",
    ),
  }),
);

export const ManagedList = v.object({
  data: v.array(
    v.object({
      ...which,
      id: v.string(),
      source: v.string(),
      isLocked: v.boolean(),
      unlockedUntil: v.nullable(v.string()),
      appliedAt: v.string(),
      isDrifted: v.boolean(),
    }),
  ),
});

/** As long as a change by hand takes at night; the files follow in the morning. */
const MAX_UNLOCK_MS = 8 * 3_600_000;
export const UnlockRequest = example(
  object({
    kind: doc(text(40, 1), "Key of its kind in files"),
    project: v.optional(doc(slug, "Slug of its project; absent: of the server")),
    name: doc(text(255, 1), "Its name in files"),
    forMs: doc(integer(60_000, MAX_UNLOCK_MS), "For how long it may be changed, at most eight hours"),
    reason: doc(text(500, 1), "Why, for the audit trail"),
  }),
  {
    kind: "heartbeats",
    project: "default",
    name: "Nightly",
    forMs: 3_600_000,
    reason: "The job moves to another host",
  },
);
export type UnlockRequest = v.InferOutput<typeof UnlockRequest>;

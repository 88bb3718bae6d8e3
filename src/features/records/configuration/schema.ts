import * as v from "valibot";
import { DAY_MS } from "../../../core/time/clock.ts";
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
    runtime: v.optional(
      doc(
        v.pipe(v.array(GivenObject), v.maxLength(MAX_OBJECTS)),
        "Overrides, swaps, days off, silences and pauses of files: each is made once, also if a person ends it later",
      ),
    ),
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
    mayPage: v.optional(
      doc(
        v.boolean(),
        "Also ends mirrors (`settings.mirror`) whose incidents are open, which page people then; default false",
      ),
    ),
    historyMs: v.optional(
      doc(integer(60_000, 31 * DAY_MS), "A plan also compares the incidents and events of so long; default: none"),
    ),
    keepNow: v.optional(doc(v.boolean(), "Whose turn it is now stays, by anchors that the answer says; default false")),
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
  fix: v.optional(doc(v.string(), "What mends it, if that is known")),
});
export type Problem = v.InferOutput<typeof Problem>;

const Drift = v.object({
  ...which,
  by: doc(v.nullable(v.string()), "Who changed it last; null: not known, or not for the caller"),
  when: v.nullable(v.string()),
  paths: doc(v.array(v.string()), "The members that differ from what was applied; none: it was deleted"),
});
export type Drift = v.InferOutput<typeof Drift>;

const people = v.array(v.string());
const OnCallChange = v.object({
  project: v.string(),
  schedule: v.string(),
  timezone: doc(v.string(), "Of the schedule"),
  from: v.string(),
  to: v.string(),
  before: people,
  after: people,
});
export type OnCallChange = v.InferOutput<typeof OnCallChange>;

const shown = { ...which, noun: v.string() };
const PlanWarning = v.object({ ...shown, code: v.string(), message: v.string() });
export type PlanWarning = v.InferOutput<typeof PlanWarning>;

const KeptTurn = v.object({
  ...shown,
  shift: v.string(),
  anchor: v.object({ on: v.string(), turn: people }),
});
export type KeptTurn = v.InferOutput<typeof KeptTurn>;

const OpenIncident = v.object({
  project: v.string(),
  id: v.string(),
  number: v.number(),
  effect: doc(
    v.picklist(["moves", "begins", "withheld", "asks-again", "mirror-ends", "mirror-begins"]),
    "`moves`: its alerts go to another policy or group; `begins`: nothing withholds it any more; " +
      "`asks-again`: it has reached no one, and asks its targets again; " +
      "`mirror-ends`: the project is no mirror any more, and sends what follows; " +
      "`mirror-begins`: the project becomes a mirror, and sends nothing more of it",
  ),
  policy: doc(v.nullable(v.string()), "Where its alerts go"),
  people: doc(people, "Whom the next page goes to"),
  pages: doc(v.boolean(), "Whether it begins to page"),
});
export type OpenIncident = v.InferOutput<typeof OpenIncident>;

const Outcome = v.object({
  policies: v.array(v.string()),
  withheld: doc(v.array(v.string()), "Why nothing is sent: `inhibited`, `muted`"),
  people: doc(people, "Whom the first page goes to"),
  afterMs: doc(v.nullable(v.number()), "How long after its start; null: no one is paged"),
  later: doc(people, "Whom only later pages go to"),
});
export type OutcomeView = v.InferOutput<typeof Outcome>;
const ruleCounts = v.object({ matched: v.number(), fired: v.number() });

const History = v.object({
  from: v.string(),
  incidents: doc(v.number(), "Incidents of the time that were compared"),
  differences: doc(v.number(), "How many of them would differ"),
  differing: doc(
    v.array(
      v.object({
        project: v.string(),
        ...{ id: v.string(), number: v.number(), title: v.string(), at: v.string() },
        changes: v.array(v.picklist(["withheld", "people", "time", "later", "outside"])),
        before: Outcome,
        after: Outcome,
      }),
    ),
    "The newest first; people as they are now, without silences",
  ),
  rules: doc(
    v.array(v.object({ project: v.string(), name: v.string(), before: ruleCounts, after: ruleCounts })),
    "Changed rules: events that match, and how often they notify",
  ),
  isCut: doc(v.boolean(), "There was more than could be compared"),
  notReadable: doc(v.array(v.string()), "Slugs of projects whose events the caller may not read"),
});
export type History = v.InferOutput<typeof History>;

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
    warnings: doc(v.array(PlanWarning), "What of the changes would reach no one, or moves the turn of now"),
    kept: doc(v.array(KeptTurn), "With `keepNow`: the anchors that keep the turn of now, for the files"),
    open: doc(v.array(OpenIncident), "What happens to open incidents"),
    runtime: doc(
      v.nullable(
        v.object({
          made: v.number(),
          known: doc(v.number(), "Those that were made before"),
          over: doc(v.array(v.object(which)), "Those whose time is over, which are left out"),
        }),
      ),
      "Of the entries in `runtime`; null: there are none",
    ),
    history: doc(v.nullable(History), "With `historyMs`: what would have been"),
  }),
);
export type ConfigurationPlan = v.InferOutput<typeof ConfigurationPlan>;

export const ExportQuery = object({
  project: v.optional(doc(v.union([slug, v.array(slug)]), "Slugs; default: all that the caller reads")),
  people: v.optional(doc(v.picklist(["true", "false"]), "Whether accounts are written, too")),
  runtime: v.optional(
    doc(v.picklist(["true", "false"]), "Whether overrides, swaps, days off, silences and pauses are written, too"),
  ),
  secrets: v.optional(
    doc(v.picklist(["env", "omit", "sealed"]), "`env`: references to variables, which is the default"),
  ),
  format: v.optional(doc(v.picklist(["json", "yaml"]), "`yaml`: the answer has the document as YAML, too")),
});

export const SealKey = v.object({
  key: doc(v.string(), "`x25519:` and the public key; only the server opens what is sealed for it"),
  addresses: doc(
    v.record(v.string(), v.record(v.string(), v.array(v.object({ path: v.string(), secret: v.boolean() })))),
    "Members with addresses, by kind and preset: a secret is sealed together with them",
  ),
});

export const ExportedConfiguration = named(
  "ExportedConfiguration",
  "The configuration as files have it",
  v.object({
    document: doc(v.record(v.string(), v.unknown()), "One file; commands write it as YAML"),
    text: v.optional(doc(v.string(), "The document as YAML")),
    variables: doc(v.array(v.string()), "Variables that its secrets refer to"),
    leftOut: doc(
      v.array(v.object({ kind: v.string(), project: v.nullable(v.string()) })),
      "What the caller may not read",
    ),
    notes: doc(v.array(v.string()), "What of the runtime is left out, as it has no name"),
  }),
);

export const FileSchema = named("ConfigurationSchema", "A JSON schema (draft 2020-12)", v.looseObject({}));
export type FileSchema = v.InferOutput<typeof FileSchema>;

export const ManagedQuery = object({
  kind: v.optional(doc(text(40, 1), "Key of a kind in files, such as `heartbeats`; default: all")),
  project: v.optional(doc(slug, "Slug or id; default: the server and all projects that the caller reads")),
  state: v.optional(
    doc(v.picklist(["changed", "locked"]), "`changed`: by hand since; `locked`: others may not change it now"),
  ),
});
export type ManagedQuery = v.InferOutput<typeof ManagedQuery>;

const ManagedObject = named(
  "ManagedObject",
  "An object that configuration files own",
  v.object({
    ...which,
    id: v.string(),
    noun: doc(v.string(), "The kind for people, such as `on-call schedule`"),
    source: v.string(),
    isLocked: v.boolean(),
    unlockedUntil: v.nullable(v.string()),
    mayUnlock: doc(v.boolean(), "Whether the caller may unlock it"),
    appliedAt: v.string(),
    isDrifted: doc(v.boolean(), "It was changed or deleted by hand since it was applied"),
  }),
);
export const ManagedList = v.object({ data: v.array(ManagedObject) });

export const DriftQuery = object({
  kind: doc(text(40, 1), "Key of its kind in files"),
  project: v.optional(doc(slug, "Slug or id of its project; absent: of the server")),
  name: doc(text(255, 1), "Its name in files"),
});
export type DriftQuery = v.InferOutput<typeof DriftQuery>;

const difference = v.object({
  path: v.string(),
  before: v.optional(doc(v.unknown(), "As it was applied; values only for callers who may change it")),
  after: v.optional(doc(v.unknown(), "As it is stored")),
});

export const ManagedDrift = named(
  "ManagedDrift",
  "What was changed by hand since an object was applied",
  v.object({
    by: doc(v.nullable(v.string()), "Who changed it last; null: not known, or not for the caller"),
    when: v.nullable(v.string()),
    isDeleted: v.boolean(),
    members: doc(v.array(difference), "The members that differ, as files have them; no secrets"),
  }),
);
export type ManagedDrift = v.InferOutput<typeof ManagedDrift>;

const DirectoryState = named(
  "ConfigurationDirectory",
  "The directory that the server reads, `configuration.dir`",
  v.object({
    path: v.string(),
    isOk: doc(v.boolean(), "What it has is applied"),
    digest: doc(v.nullable(v.string()), "Of the files that were applied last; null: none were yet"),
    appliedAt: v.nullable(v.string()),
    checkedAt: doc(v.nullable(v.string()), "When this process read it last"),
    problem: doc(
      v.nullable(v.object({ at: v.string(), code: v.string(), message: v.string() })),
      "Why its files are not applied, with their place; what was applied before stays",
    ),
  }),
);

export const SourceList = v.object({
  data: v.array(
    v.object({
      source: v.string(),
      objects: doc(v.number(), "Those that the caller may read"),
      lastAppliedAt: doc(v.string(), "The last apply that changed one of them"),
      isLocked: doc(v.boolean(), "The console and the API refuse to change them"),
    }),
  ),
  directory: doc(v.nullable(DirectoryState), "Null: there is none, or the caller lacks `projects:all`"),
});

/** As long as a change by hand takes at night; the files follow in the morning. */
const MAX_UNLOCK_MS = 8 * 3_600_000;
export const UnlockRequest = example(
  object({
    kind: doc(text(40, 1), "Key of its kind in files"),
    project: v.optional(doc(slug, "Slug or id of its project; absent: of the server")),
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

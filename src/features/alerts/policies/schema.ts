import * as v from "valibot";
import { pageEntries } from "../../../http/api/pagination.ts";
import { column, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, example, named, object, text, uuid } from "../../../http/api/shapes.ts";
import { PagingWarnings } from "../ways/warnings.ts";
import { definitionEntries, Step } from "./policy.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    policy_versions: RowOf<typeof PolicyVersion>;
  }
}

export const PATH = "/api/v1/policies";
export const TAG = "Incidents";

const name = doc(text(255, 1), "Name that routes refer to; unique in its project");
export const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: the default project"),
);

export const CreatePolicy = example(
  object({
    projectId,
    name,
    ...definitionEntries,
  }),
  {
    projectId: "default",
    name: "Database",
    steps: [
      { type: "notify", members: true },
      { type: "wait", ms: 300_000 },
      { type: "notify", roles: ["Admin"] },
    ],
    repeat: 2,
  },
);
export type CreatePolicy = v.InferOutput<typeof CreatePolicy>;

/** A policy to store, of a project that was found. */
export interface NewPolicy {
  readonly projectId: string;
  readonly input: Omit<CreatePolicy, "projectId">;
}

export const UpdatePolicy = example(object({ name: v.optional(name), ...definitionEntries }), { repeat: 3 });
export type UpdatePolicy = v.InferOutput<typeof UpdatePolicy>;

export const PolicyView = named(
  "Policy",
  "Who is notified of an incident, in which order",
  v.object({
    id: v.string(),
    projectId: v.string(),
    name: v.string(),
    description: v.string(),
    steps: v.array(Step),
    repeat: v.number(),
    sendResolved: v.boolean(),
    ackQuorum: v.number(),
    ackExpiresMs: v.nullable(v.number()),
    autoResolveMs: v.nullable(v.number()),
    renotifyOnNew: v.boolean(),
    opensIncidents: v.boolean(),
    fallback: v.nullable(v.string()),
    version: doc(v.number(), "0: the built-in policy, which was never changed"),
    createdBy: v.nullable(v.string()),
    createdAt: v.nullable(v.string()),
    updatedAt: v.nullable(v.string()),
  }),
);

/** The answer to a change. */
export const ChangedPolicy = named(
  "ChangedPolicy",
  "A policy, with what would keep its pages from arriving",
  v.object({ ...PolicyView.entries, warnings: PagingWarnings }),
);

export const PolicyWarnings = v.object({
  data: v.array(
    v.object({
      ...{ code: v.string(), message: v.string(), projectId: v.string() },
      project: doc(v.string(), "Slug of the project"),
      policyId: doc(
        v.nullable(v.string()),
        "The policy with the step; that of `default` is the project's; null: a schedule or a rule",
      ),
    }),
  ),
  hasOutsideWay: doc(
    v.boolean(),
    "Whether people can be reached outside of the app: without, incidents fall back in the app",
  ),
});

export const PolicyVersion = resource("PolicyVersion", "A version of a policy", "policy_versions", () => ({
  version: stored(v.number()),
  definition: column(v.string()).shownAs(doc(v.record(v.string(), v.unknown()), "The content of the version")),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
  policyId: column(v.string()),
}));
const { limit, cursor } = pageEntries();
export const versionsPaging = { limit, cursor };
export const VersionsQuery = object(versionsPaging);

export const ProjectQuery = object({ projectId });
export type ProjectQuery = v.InferOutput<typeof ProjectQuery>;

export const WarningsQuery = object({
  projectId,
  scope: v.optional(doc(v.picklist(["own", "all"]), "`all`: of all projects; needs `projects:all`; default `own`")),
});

export const PolicyParams = object({ id: doc(uuid, "Id of the policy; that of `default` is the project's") });

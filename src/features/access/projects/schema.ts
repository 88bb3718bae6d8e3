import * as v from "valibot";
import { isUuid } from "../../../core/ids.ts";
import { once } from "../../../core/once.ts";
import { KEY_SCOPES } from "../../../core/permissions.ts";
import {
  doc,
  example,
  instant,
  integer,
  named,
  object,
  pageEntries,
  pattern,
  queryBoolean,
  selfChanging,
  text,
} from "../../../http/api/shapes.ts";
import { ApiKey } from "./keys.ts";
import { PROJECT_ROLES, Project, ProjectSettings, projectList } from "./project.ts";

export const ListProjects = () => object({ ...projectList.entries, ...pageEntries() });
export type ListProjects = v.InferOutput<ReturnType<typeof ListProjects>>;

export const CreateProject = example(
  object({
    name: doc(text(255, 1), "Name"),
    slug: v.optional(
      doc(
        v.pipe(
          pattern(/^[a-z0-9-]{1,64}$/, "must be 1 to 64 of a-z, 0-9 and dash"),
          // It would be the slug of one project and the id of another.
          v.check((slug) => !isUuid(slug), "must not be a UUID"),
        ),
        "Short name for paths; default: made from the name",
      ),
    ),
    settings: v.optional(doc(ProjectSettings, "Settings; other members are kept")),
  }),
  { name: "Billing", settings: { retentionDays: 90 } },
);
export type CreateProject = v.InferOutput<typeof CreateProject>;

export const UpdateProject = example(
  object({
    name: v.optional(doc(text(255, 1), "Name")),
    settings: v.optional(doc(ProjectSettings, "Settings to change; null removes one")),
    storageBytes: v.optional(
      doc(
        v.nullable(integer(1_048_576, 1e15)),
        "Limit of stored bytes in place of the configured one (needs `projects:all`); null: the configured one",
      ),
    ),
  }),
  { settings: { retentionDays: 30, digest: true } },
);
export type UpdateProject = v.InferOutput<typeof UpdateProject>;

export const UpdateProjectQuery = object({
  mayPage: v.optional(
    doc(queryBoolean, "Ends a mirror (`settings.mirror: null`) also while incidents are open, which page people then"),
  ),
});

const projectId = doc(v.string(), "Id or slug of the project");
export const ProjectParams = object({ id: projectId });
export const KeyParams = object({ id: projectId, keyId: doc(v.string(), "Id of the API key") });

export const ListMembers = object({
  ...pageEntries(),
  q: v.optional(doc(text(100, 1), "Part of a name or username")),
  status: v.optional(doc(v.picklist(["active"]), "Only members who can sign in and be notified")),
});
export type ListMembers = v.InferOutput<typeof ListMembers>;
export const MemberParams = object({ id: projectId, userId: doc(v.string(), "Id of the user") });

export const RemoveMember = object({
  keepKeys: v.optional(
    doc(
      queryBoolean,
      "Keeps the API keys that the member made, with the scopes that the caller may have, to whom they belong then " +
        "(for the operator: to an owner). Not for oneself",
    ),
  ),
});

const KEEP_KEYS =
  "Hands API keys of the member that would lose scopes to the caller (for the operator: to an owner), with the scopes " +
  "that the caller may have. Not for oneself";
const keyRefs = v.array(v.object({ id: v.string(), name: v.string() }));
const leftoverEntries = {
  keysRevoked: v.optional(doc(keyRefs, "API keys that the member made and that ended")),
  keysRestricted: v.optional(
    doc(
      v.array(v.object({ id: v.string(), name: v.string(), scopes: v.array(v.picklist(KEY_SCOPES)) })),
      "API keys that the member made, with the scopes that they still have",
    ),
  ),
  keysHandedOver: v.optional(doc(keyRefs, "API keys that belong to the caller, another owner or an administrator now")),
  toRotate: v.optional(
    doc(
      v.array(
        v.object({
          kind: v.picklist(["apiKey", "receiver", "integration", "heartbeat", "pingKey", "forwardUrl"]),
          id: v.string(),
          name: v.string(),
        }),
      ),
      "Secrets and URLs that the person knows and that still work: rotate them if they must not; 100 of each kind",
    ),
  ),
  toRotateCount: v.optional(doc(v.number(), "Number of secrets to rotate, if `toRotate` has not all of them")),
};

export const LeftoversView = named(
  "Leftovers",
  "What ended with rights in a project, and what the person still knows",
  v.object(leftoverEntries),
);

export const AddMember = example(
  object({
    email: v.optional(doc(text(255, 1), "Email address to invite; this or `userId`")),
    userId: v.optional(doc(text(255, 1), "Id, external id or username (needs `users:read`), or an email address")),
    role: doc(v.picklist(PROJECT_ROLES), "Role in the project"),
    keepKeys: v.optional(doc(v.boolean(), KEEP_KEYS)),
  }),
  { email: "grace@example.com", role: "editor" },
);
export type AddMember = v.InferOutput<typeof AddMember>;

const invitationId = doc(v.string(), "Id of the invitation");
export const InvitationParams = object({ id: projectId, invitationId });
export const OwnInvitationParams = object({ invitationId });
const token = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(128));
export const InvitationToken = example(object({ token: doc(token, "Token of the mailed link") }), {
  token: "the-token-of-the-link",
});

export const InvitationView = named(
  "ProjectInvitation",
  "An open invitation to a project",
  v.object({
    id: v.string(),
    email: v.string(),
    role: v.picklist(PROJECT_ROLES),
    invitedBy: doc(v.string(), "Id of the user who invited"),
    createdAt: v.string(),
    expiresAt: v.string(),
    inviteUrl: v.optional(
      doc(v.string(), "Only in the first answer, and only without a mail server or of a mirror project"),
    ),
  }),
);

export const InvitedView = named(
  "ReceivedInvitation",
  "An invitation of the caller",
  v.object({
    id: v.string(),
    projectId: v.string(),
    projectName: v.string(),
    role: v.picklist(PROJECT_ROLES),
    invitedBy: doc(v.string(), "Name of the user who invited"),
    expiresAt: v.string(),
  }),
);

export const ChangeMember = example(
  object({
    role: doc(v.picklist(PROJECT_ROLES), "Role in the project"),
    keepKeys: v.optional(doc(v.boolean(), KEEP_KEYS)),
  }),
  { role: "viewer" },
);
export type ChangeMember = v.InferOutput<typeof ChangeMember>;

const memberEntries = {
  userId: v.string(),
  username: v.nullable(v.string()),
  name: v.string(),
  role: v.picklist(PROJECT_ROLES),
  source: doc(
    v.nullable(v.string()),
    "Who gives the role: `file`, or a provider's groups such as `oidc:company`; null: a person",
  ),
  createdAt: v.string(),
};
export const MemberView = named("ProjectMember", "A member of a project", v.object(memberEntries));
export const ChangedMemberView = named(
  "ChangedMember",
  "A member with a new role, and what ended with the rights of the role before",
  v.object({ ...memberEntries, ...leftoverEntries }),
);

export const CreateKey = example(
  object({
    name: v.optional(doc(text(100, 1), "Name")),
    scopes: v.optional(
      doc(
        v.pipe(v.array(v.picklist(KEY_SCOPES)), v.minLength(1)),
        "What the key may do; default: `events:write`, `events:read` and `silences:write`",
      ),
    ),
    expiresAt: v.optional(doc(instant, "End of its validity; default: none")),
    rateLimit: v.optional(
      doc(integer(1, 1e9), "Requests and events per minute, up to `rateLimit.key` and `rateLimit.keyEvents`"),
    ),
  }),
  { name: "billing service", scopes: ["events:write"] },
);
export type CreateKey = v.InferOutput<typeof CreateKey>;

export const RotateKey = example(
  object({ graceMs: v.optional(doc(integer(0, 604_800_000), "Time for which the old key still works; default 0")) }),
  { graceMs: 3_600_000 },
);

export const IssuedKeyView = once(() => {
  const { id, name, prefix, scopes, expiresAt } = ApiKey.shown;
  const key = doc(v.string(), "Secret, returned only once");
  return named(
    "IssuedApiKey",
    "The new API key with its secret",
    v.object({ id, name, prefix, scopes, expiresAt, key }),
  );
});

export const CreatedProjectView = once(() =>
  named(
    "CreatedProject",
    "The new project with its first API key",
    v.object({
      ...Project.shown,
      apiKey: v.optional(doc(v.string(), "Secret of its first API key, returned only once")),
    }),
  ),
);
export const ChangedProjectView = once(() =>
  named(
    "ChangedProject",
    "A project after a change",
    v.object({
      ...Project.shown,
      warnings: v.optional(
        doc(v.array(v.string()), "What the change means for incidents that are open, if it becomes a mirror"),
      ),
    }),
  ),
);
export const ProjectDetail = once(() =>
  named(
    "ProjectDetail",
    "A project with its keys and event count",
    v.object({
      ...Project.shown,
      eventCount: selfChanging(v.number()),
      lastEventAt: selfChanging(v.nullable(v.string())),
      keys: selfChanging(v.array(ApiKey.View)),
      work: selfChanging(
        v.object({
          usedMs: doc(v.number(), "Counted work of the main thread for its requests since the start, in ms"),
          refused: doc(v.number(), "Requests refused with WORK_LIMITED since the start"),
          left: doc(v.number(), "Part of its budget that is left, 0 to 1"),
        }),
      ),
      storage: selfChanging(
        v.object({
          bytes: doc(v.number(), "Bytes that it stores, as docs/limits.md counts them"),
          limit: doc(v.nullable(v.number()), "Its limit; null: none"),
          isOwnLimit: doc(v.boolean(), "The operator has set it for this project (`storageBytes`)"),
        }),
      ),
    }),
  ),
);

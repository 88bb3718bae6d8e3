import * as v from "valibot";
import { isTimezone } from "../../../core/clock.ts";
import { isUuid } from "../../../core/ids.ts";
import { KEY_SCOPES } from "../../../core/permissions.ts";
import { pageEntries } from "../../../http/pagination.ts";
import {
  doc,
  example,
  instant,
  integer,
  named,
  object,
  openObject,
  pattern,
  queryBoolean,
  selfChanging,
  text,
} from "../../../http/shapes.ts";

const ROLES = ["owner", "editor", "viewer"] as const;

const timezone = doc(
  v.pipe(v.string("must be a string"), v.check(isTimezone, "must be an IANA time zone such as Europe/Berlin")),
  "IANA time zone",
);

/** Other members are the owners' own and kept. A member that is null is none, or removed. */
const Settings = openObject({
  alertThreshold: v.nullish(doc(integer(1, 1_000_000), "Number of errors in the window that alerts the members")),
  retentionDays: v.nullish(doc(integer(1, 3650), "Days that events are kept")),
  emailAlerts: v.nullish(doc(v.boolean(), "Whether alerts are also sent by email")),
  digest: v.nullish(
    doc(
      v.union([v.boolean(), object({ timezone })], "must be true, false or an object with a timezone"),
      "Daily digest for the members, optionally in a time zone",
    ),
  ),
});

export type ProjectSettings = v.InferOutput<typeof Settings>;

export const ListProjects = object({ q: v.optional(doc(text(100), "Part of the name or slug")), ...pageEntries() });
export type ListProjects = v.InferOutput<typeof ListProjects>;

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
    settings: v.optional(doc(Settings, "Settings; other members are kept")),
  }),
  { name: "Billing", settings: { retentionDays: 90 } },
);
export type CreateProject = v.InferOutput<typeof CreateProject>;

export const UpdateProject = example(
  object({
    name: v.optional(doc(text(255, 1), "Name")),
    settings: v.optional(doc(Settings, "Settings to change; null removes one")),
    storageBytes: v.optional(
      doc(
        v.nullable(integer(1_048_576, 1e15)),
        "Limit of stored bytes in place of those of the configuration (needs `projects:all`); null: those again",
      ),
    ),
  }),
  { settings: { retentionDays: 30, digest: true } },
);
export type UpdateProject = v.InferOutput<typeof UpdateProject>;

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
          kind: v.picklist(["apiKey", "receiver", "integration", "heartbeat", "pingKey"]),
          id: v.string(),
          name: v.string(),
        }),
      ),
      "Secrets and URLs that the person knows and that still work: rotate those that must not; 100 of each kind",
    ),
  ),
  toRotateCount: v.optional(doc(v.number(), "Number of secrets to rotate, if `toRotate` has not all of them")),
};

export const LeftoversView = named(
  "Leftovers",
  "What ended with rights in a project, and what the person still knows",
  v.object(leftoverEntries),
);

export const LostRightsView = named(
  "LostRights",
  "A member who had more rights before",
  v.object({
    projectId: v.string(),
    slug: v.string(),
    userId: v.string(),
    username: v.nullable(v.string()),
    name: v.string(),
    role: v.picklist(ROLES),
    rights: doc(v.array(v.string()), "Permissions that no longer count in the project"),
    roleWithThem: doc(v.picklist(ROLES), "The least role that has these rights"),
  }),
);

export const AddMember = example(
  object({
    email: v.optional(doc(text(255, 1), "Email address to invite; this or `userId`")),
    userId: v.optional(doc(text(255, 1), "Id, external id or username (needs `users:read`), or an email address")),
    role: doc(v.picklist(ROLES), "Role in the project"),
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
    role: v.picklist(ROLES),
    invitedBy: doc(v.string(), "Id of the user who invited"),
    createdAt: v.string(),
    expiresAt: v.string(),
    inviteUrl: v.optional(doc(v.string(), "Only in the first answer, and only without a mail server")),
  }),
);

export const InvitedView = named(
  "ReceivedInvitation",
  "An invitation of the caller",
  v.object({
    id: v.string(),
    projectId: v.string(),
    projectName: v.string(),
    role: v.picklist(ROLES),
    invitedBy: doc(v.string(), "Name of the user who invited"),
    expiresAt: v.string(),
  }),
);

export const ChangeMember = example(
  object({
    role: doc(v.picklist(ROLES), "Role in the project"),
    keepKeys: v.optional(doc(v.boolean(), KEEP_KEYS)),
  }),
  { role: "viewer" },
);
export type ChangeMember = v.InferOutput<typeof ChangeMember>;

const memberEntries = {
  userId: v.string(),
  username: v.nullable(v.string()),
  name: v.string(),
  role: v.picklist(ROLES),
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

const keyEntries = {
  id: v.string(),
  name: v.string(),
  prefix: v.string(),
  scopes: v.array(v.picklist(KEY_SCOPES)),
  expiresAt: v.nullable(v.string()),
};

export const KeyView = named(
  "ApiKey",
  "An API key, without its secret",
  v.object({
    ...keyEntries,
    lastUsedAt: v.nullable(v.string()),
    createdBy: doc(v.nullable(v.string()), "Id of the user who made it: it ends when that member is removed"),
    createdAt: v.string(),
  }),
);

export const IssuedKeyView = named(
  "IssuedApiKey",
  "The new API key with its secret",
  v.object({ ...keyEntries, key: doc(v.string(), "Secret, returned only once") }),
);

const projectEntries = {
  id: v.string(),
  slug: v.string(),
  name: v.string(),
  role: v.nullable(v.picklist(ROLES)),
  ownerId: v.nullable(v.string()),
  settings: Settings,
  version: v.number(),
  createdAt: v.string(),
};

export const ProjectView = named("Project", "A project", v.object(projectEntries));
export const CreatedProjectView = named(
  "CreatedProject",
  "The new project with its first API key",
  v.object({
    ...projectEntries,
    apiKey: v.optional(doc(v.string(), "Secret of its first API key, returned only once")),
  }),
);
export const ProjectDetail = named(
  "ProjectDetail",
  "A project with its keys and event count",
  v.object({
    ...projectEntries,
    eventCount: selfChanging(v.number()),
    lastEventAt: selfChanging(v.nullable(v.string())),
    keys: selfChanging(v.array(KeyView)),
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
);

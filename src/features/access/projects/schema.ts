import * as v from "valibot";
import { isTimezone } from "../../../core/clock.ts";
import { isUuid } from "../../../core/ids.ts";
import { KEY_SCOPES } from "../../../core/permissions.ts";
import { pageEntries } from "../../../http/pagination.ts";
import { instant, integer, named, object, openObject, pattern, selfChanging, text } from "../../../http/shapes.ts";

const ROLES = ["owner", "editor", "viewer"] as const;

const timezone = v.pipe(
  v.string("must be a string"),
  v.check(isTimezone, "must be an IANA time zone such as Europe/Berlin"),
);

/**
 * Members besides these are the owners' own and kept. A member that is null is none, or removed.
 */
const Settings = openObject({
  alertThreshold: v.nullish(
    v.pipe(integer(1, 1_000_000), v.description("Errors in quick succession before the members are alerted")),
  ),
  retentionDays: v.nullish(integer(1, 3650)),
  emailAlerts: v.nullish(v.boolean()),
  digest: v.nullish(
    v.pipe(
      v.union([v.boolean(), object({ timezone })], "must be true, false or an object with a timezone"),
      v.description("Whether the members are told once a day what happened, and by the clock of which zone"),
    ),
  ),
});

export const ListProjects = object({ q: v.optional(text(100)), ...pageEntries() });
export type ListProjects = v.InferOutput<typeof ListProjects>;

export const CreateProject = object({
  name: text(255, 1),
  slug: v.optional(
    v.pipe(
      pattern(/^[a-z0-9-]{1,64}$/, "must be 1 to 64 of a-z, 0-9 and dash"),
      // It would stand for one project as its slug, and for another as its id.
      v.check((slug) => !isUuid(slug), "must not be a UUID"),
    ),
  ),
  settings: v.optional(Settings),
});
export type CreateProject = v.InferOutput<typeof CreateProject>;

export const UpdateProject = object({ name: v.optional(text(255, 1)), settings: v.optional(Settings) });
export type UpdateProject = v.InferOutput<typeof UpdateProject>;

export const ProjectParams = object({ id: v.string() });
export const KeyParams = object({ id: v.string(), keyId: v.string() });

export const ListMembers = object(pageEntries());
export type ListMembers = v.InferOutput<typeof ListMembers>;
export const MemberParams = object({ id: v.string(), userId: v.string() });

export const AddMember = object({
  email: v.optional(v.pipe(text(255, 1), v.description("A mail address, which is sent an invitation"))),
  userId: v.optional(
    v.pipe(
      text(255, 1),
      v.description("Id, external id or username of an active user (needs users:read), or a mail address"),
    ),
  ),
  role: v.picklist(ROLES),
});
export type AddMember = v.InferOutput<typeof AddMember>;

export const InvitationParams = object({ id: v.string(), invitationId: v.string() });
export const OwnInvitationParams = object({ invitationId: v.string() });
export const invitationToken = v.pipe(v.string("must be a string"), v.minLength(1), v.maxLength(128));

export const InvitationView = named(
  "ProjectInvitation",
  v.object({
    id: v.string(),
    email: v.string(),
    role: v.picklist(ROLES),
    invitedBy: v.pipe(v.string(), v.description("Id of the user who invited")),
    createdAt: v.string(),
    expiresAt: v.string(),
    inviteUrl: v.optional(v.pipe(v.string(), v.description("Only in the first answer, where no mail can be sent"))),
  }),
);

export const InvitedView = v.object({
  id: v.string(),
  projectId: v.string(),
  projectName: v.string(),
  role: v.picklist(ROLES),
  invitedBy: v.pipe(v.string(), v.description("Name of the user who invited")),
  expiresAt: v.string(),
});

export const ChangeMember = object({ role: v.picklist(ROLES) });

export const MemberView = named(
  "ProjectMember",
  v.object({
    userId: v.string(),
    username: v.nullable(v.string()),
    name: v.string(),
    role: v.picklist(ROLES),
    createdAt: v.string(),
  }),
);

export const CreateKey = object({
  name: v.optional(text(100, 1)),
  scopes: v.optional(v.pipe(v.array(v.picklist(KEY_SCOPES)), v.minLength(1))),
  expiresAt: v.optional(instant),
  rateLimit: v.optional(
    v.pipe(
      integer(1, 1e9),
      v.description(
        "Requests a minute, and events a minute, of this key; rateLimit.key and rateLimit.keyEvents are the most it can have",
      ),
    ),
  ),
});
export type CreateKey = v.InferOutput<typeof CreateKey>;

export const RotateKey = object({ graceMs: v.optional(integer(0, 604_800_000)) });

const keyEntries = {
  id: v.string(),
  name: v.string(),
  prefix: v.string(),
  scopes: v.array(v.picklist(KEY_SCOPES)),
  expiresAt: v.nullable(v.string()),
};

export const KeyView = named(
  "ApiKey",
  v.object({
    ...keyEntries,
    lastUsedAt: v.nullable(v.string()),
    createdAt: v.string(),
  }),
);

export const IssuedKeyView = v.object({
  ...keyEntries,
  key: v.pipe(v.string(), v.description("Shown this once")),
});

const projectEntries = {
  id: v.string(),
  slug: v.string(),
  name: v.string(),
  role: v.nullable(v.picklist(ROLES)),
  ownerId: v.nullable(v.string()),
  settings: v.record(v.string(), v.unknown()),
  version: v.number(),
  createdAt: v.string(),
};

export const ProjectView = named("Project", v.object(projectEntries));
export const CreatedProjectView = v.object({
  ...projectEntries,
  apiKey: v.optional(v.pipe(v.string(), v.description("Shown this once"))),
});
export const ProjectDetail = named(
  "ProjectDetail",
  v.object({
    ...projectEntries,
    eventCount: selfChanging(v.number()),
    lastEventAt: selfChanging(v.nullable(v.string())),
    keys: selfChanging(v.array(KeyView)),
  }),
);

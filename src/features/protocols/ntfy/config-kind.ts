import * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { doc, isJsonObject } from "../../../http/api/shapes.ts";
import { configKind, type ObjectOwner } from "../../../module/config-kind.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { NtfyPermission } from "../../../store/schema.ts";
import { userNames } from "../../access/index.ts";
import { EVERYONE } from "./access.ts";
import * as access from "./access-routes.ts";
import * as topics from "./topic-routes.ts";

type Rights = Readonly<Record<string, NtfyPermission>>;

interface AccessSpec {
  readonly everyone: Rights;
  readonly users: Readonly<Record<string, Rights>>;
}

const PERMISSIONS: readonly unknown[] = access.PERMISSIONS;
const isRights = (value: unknown): value is Rights =>
  isJsonObject(value) &&
  Object.entries(value).every(([topic, right]) => access.PATTERN.test(topic) && PERMISSIONS.includes(right));
const RESERVED: readonly string[] = [EVERYONE, "everyone"];
const shape = { type: "object", additionalProperties: { enum: access.PERMISSIONS } } as const;
const RIGHTS = "must have none, read, write or read-write for each topic or pattern";
// `v.record` drops a topic that is called `constructor`.
const entries = {
  everyone: v.optional(
    doc(v.pipe(v.custom<Rights>(isRights, RIGHTS), v.metadata(shape)), "By topic or pattern: also without credentials"),
  ),
  users: v.optional(
    doc(
      v.pipe(
        v.custom<AccessSpec["users"]>((value) => isJsonObject(value) && Object.values(value).every(isRights), RIGHTS),
        v.check((users) => !Object.keys(users).some((name) => RESERVED.includes(name)), "has everyone beside it"),
        v.metadata({ type: "object", additionalProperties: shape }),
      ),
      "By username, then by topic or pattern",
    ),
  ),
};

export function ntfyKinds(context: topics.TopicContext & access.AccessContext) {
  const topic = configKind<topics.GivenTopic>({
    ...{ kind: "ntfyTopics", noun: "topic", resourceType: "ntfyTopic", scope: "project", after: [] },
    rights: { read: "events:read", write: "events:write" },
    entries: () => topics.topicEntries,
    defaults: {},
    canonical: (spec) => ({ ...spec, patterns: topics.patternsOf(spec as topics.GivenTopic) }),
    idOf: (_projectId, { name }) => String(name),
    async list(db, projectId) {
      const all = db.selectFrom("ntfy_topics").selectAll().where("projectId", "=", projectId).where("isKept", "=", 1);
      return (await all.orderBy("name").execute()).map(({ name, kind, patterns }) => ({
        ...{ id: name, name, version: patterns },
        spec: { name, kind, patterns: JSON.parse(patterns) as string[] },
      }));
    },
    async create(trx, { caller, projectId }, _id, spec) {
      topics.requireFreeWord(spec.name);
      const row = topics.newTopic(context, caller, { ...spec, projectId, userId: null });
      const used = await topics.findTopic(trx, spec.name);
      // One that a publish made is kept from now on.
      const isSame = used?.isKept === 0 && used.projectId === projectId && used.kind === spec.kind;
      if (isSame) await topics.changeTopic(context, trx, { ...used, isKept: 1 });
      else await topics.insertTopic(context, trx, row);
      return undefined;
    },
    async update(trx, _owner, { id }, spec) {
      const row = await topics.findTopic(trx, id);
      if (!row) throw new PrismError("NOT_FOUND", "No such topic");
      if (row.kind !== spec.kind || row.name !== spec.name)
        throw invalidField("topic", row.name === spec.name ? "kind" : "name", "cannot change; clients know the topic");
      await topics.changeTopic(context, trx, { ...row, patterns: JSON.stringify(topics.patternsOf(spec)) });
      return undefined;
    },
    remove: (trx, _owner, { id }) => topics.removeTopic(context, trx, id),
  });
  const right = configKind<AccessSpec>({
    ...{ kind: "ntfyAccess", noun: "rights on topics", resourceType: "project", scope: "project", isSingle: true },
    after: ["ntfyTopics", "members"],
    rights: { read: "project:manage", write: "project:manage" },
    entries: () => entries,
    defaults: { everyone: {}, users: {} },
    idOf: (projectId) => projectId ?? "",
    async list(db, projectId) {
      const spec = await storedRights(db, projectId ?? "");
      const isNone = Object.keys(spec.everyone).length + Object.keys(spec.users).length === 0;
      const version = JSON.stringify(spec);
      return isNone ? [] : [{ id: projectId ?? "", name: "ntfyAccess", version, spec: { ...spec } }];
    },
    create: (trx, owner, _id, spec) => storeRights(context, trx, owner, spec),
    update: (trx, owner, _stored, spec) => storeRights(context, trx, owner, spec),
    remove: (trx, { projectId }) => access.removeRights(context, trx, { projectId: projectId ?? "" }),
  });
  return [topic, right];
}

interface Named {
  readonly userId: string | undefined;
  readonly pattern: string;
}

async function rowsOf(db: ReadDb | Trx, projectId: string) {
  return db.selectFrom("ntfy_access").selectAll().where("projectId", "=", projectId).execute();
}

async function storedRights(db: ReadDb | Trx, projectId: string): Promise<AccessSpec> {
  const rows = await rowsOf(db, projectId);
  const names = await userNames(
    db,
    rows.map(({ userId }) => userId),
  );
  const everyone: Record<string, NtfyPermission> = {};
  const users: Record<string, Record<string, NtfyPermission>> = {};
  for (const { userId, pattern, permission } of rows) {
    const name = names.get(userId)?.username ?? userId;
    if (userId === EVERYONE) everyone[pattern] = permission;
    else users[name] = { ...users[name], [pattern]: permission };
  }
  return { everyone, users };
}

/** The rights of the project are those of the file. @throws USER_NOT_FOUND, UNAUTHORIZED_ROLE, LIMIT_REACHED */
async function storeRights(
  context: access.AccessContext,
  trx: Trx,
  { caller, projectId: of }: ObjectOwner,
  { everyone, users }: AccessSpec,
): Promise<undefined> {
  const projectId = of ?? "";
  const wanted = Object.entries({ ...users, [EVERYONE]: everyone }).flatMap(([user, rights]) => {
    const userId = access.userOf(context.users, user);
    return Object.entries(rights).map(([pattern, permission]) => ({ userId, pattern, permission }));
  });
  const stored = await rowsOf(trx, projectId);
  const isOf = (row: Named) => (each: Named) => each.userId === row.userId && each.pattern === row.pattern;
  for (const row of stored) if (!wanted.some(isOf(row))) await access.removeRights(context, trx, row);
  for (const { userId: given, pattern, permission } of wanted) {
    if (stored.find(isOf({ userId: given, pattern }))?.permission === permission) continue;
    const userId = access.nameable(context, caller, projectId, given);
    const made = { createdBy: caller.userId, createdAt: context.clock.now() };
    await access.storeRight(context, trx, { projectId, userId, pattern, permission, ...made });
  }
  return undefined;
}

import { configKind, type ObjectOwner } from "../../module/config-kind.ts";
import type { Trx } from "../../store/database.ts";
import { type ManagePagesContext, requirePatterns, storedPage, storePage } from "./manage.ts";
import { documentOf, fileEntries, type GivenDocument, type PageDocument } from "./schema.ts";

type Component = PageDocument["groups"][number]["components"][number];

export function statusPageKinds(context: Pick<ManagePagesContext, "clock" | "audit">) {
  const store = async (trx: Trx, { caller, projectId }: ObjectOwner, spec: GivenDocument) => {
    const id = projectId ?? "";
    const old = await storedPage(trx, id);
    const known = old ? (JSON.parse(old.document) as PageDocument) : documentOf(spec);
    await storePage(context, trx, caller, id, old, withKnownIds(documentOf(spec), known));
    return undefined;
  };
  const { enabled: _enabled, title: _title, ...defaults } = documentOf({ enabled: false, title: "" });
  const page = configKind<GivenDocument>({
    ...{ kind: "statusPage", noun: "status page", resourceType: "project", scope: "project", isSingle: true },
    after: ["heartbeats"],
    rights: { read: "events:read", write: "policies:write" },
    isKept: true,
    entries: () => fileEntries,
    defaults,
    idOf: (projectId) => projectId ?? "",
    async list(db, projectId) {
      const row = await storedPage(db, projectId ?? "");
      if (!row) return [];
      const document = JSON.parse(row.document) as PageDocument;
      return [{ id: row.projectId, name: "statusPage", version: row.version, spec: withoutIds(document) }];
    },
    prepare: (_owner, spec) => requirePatterns(documentOf(spec)).then(() => undefined),
    create: (trx, owner, _id, spec) => store(trx, owner, spec),
    update: (trx, owner, _stored, spec) => store(trx, owner, spec),
  });
  return [page];
}

function withoutIds({ groups, ...page }: PageDocument) {
  const named = groups.map((group) => ({
    ...group,
    components: group.components.map(({ id: _id, ...component }) => component),
  }));
  return { ...page, groups: named };
}

/** A component keeps its id, and with it its history, as long as its group and name stay. */
function withKnownIds(wanted: PageDocument, known: PageDocument): PageDocument {
  const keyOf = (group: string, { name }: Component) => JSON.stringify([group, name]);
  const ids = new Map<string, string[]>();
  for (const { name, components } of known.groups)
    for (const each of components)
      if (each.id !== undefined) ids.set(keyOf(name, each), [...(ids.get(keyOf(name, each)) ?? []), each.id]);
  const groups = wanted.groups.map((group) => ({
    ...group,
    components: group.components.map((each) => {
      const id = ids.get(keyOf(group.name, each))?.shift();
      return id === undefined ? each : { id, ...each };
    }),
  }));
  return { ...wanted, groups };
}

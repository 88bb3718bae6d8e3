import * as v from "valibot";
import { openedText } from "../../../core/crypto/sealed-box.ts";
import { givenToken } from "../../../http/api/shapes.ts";
import { changedMembers, configKind, type Spec } from "../../../module/config-kind.ts";
import { resourceKind } from "../../../module/resource-kind.ts";
import { forwardUrl, openedForward } from "../forward/index.ts";
import { receivers } from "./manage.ts";
import { Receiver, type ReceiverRow } from "./receiver.ts";
import { boundedBy, receiverSealContext } from "./receivers.ts";
import { type CreateReceiver, secret } from "./schema.ts";
import { checkSettings, type ReceiverParts, storedSettings } from "./settings.ts";

type ReceiverSpec = Omit<CreateReceiver, "projectId"> & { readonly token?: string };

const of = resourceKind<ReceiverRow>(Receiver);
const NEW = { mapping: null, verify: null, hasSecret: false };

export function receiverKinds(context: ReceiverParts) {
  const opened = ({ id, secret: sealed }: ReceiverRow) =>
    sealed && openedText(context.box, receiverSealContext("secret", id), sealed);
  const forwardOf = (row: ReceiverRow) => openedForward(context.box, "receivers", row);
  const found = (db: Parameters<typeof Receiver.find>[0], id: string) =>
    Receiver.require(db, id, "RECEIVER_NOT_FOUND", "receiver");
  /** What a request would say: a secret is replaced only by another. */
  const changes = (row: ReceiverRow, { token: _token, secret: given, forwardUrl: url, ...spec }: ReceiverSpec) => ({
    ...changedMembers(spec, { spec: of.specOf(row) }),
    ...(given !== undefined && given !== opened(row) && { secret: given }),
    ...(url !== undefined && url !== forwardOf(row) && { forwardUrl: url }),
  });
  const receiver = configKind<ReceiverSpec>({
    ...{ kind: "receivers", noun: "receiver", resourceType: "receiver", scope: "project", after: [] },
    rights: { read: "events:read", write: "receivers:write" },
    secrets: ["secret", "token", "forwardUrl"],
    atCreation: ["token"],
    isHeldOutside: true,
    issues: "a URL",
    entries: () => ({
      ...of.entries(),
      secret: v.optional(v.nullable(secret)),
      forwardUrl,
      token: givenToken("The token of its URL"),
    }),
    defaults: { ...of.defaults, ...(boundedBy(context.settings.receivers, Receiver.initial) as object as Spec) },
    async list(db, projectId, ids) {
      return (await of.rows(db, projectId, ids)).map((row) => ({
        ...{ id: row.id, name: row.name, version: row.version, spec: of.specOf(row) },
        secrets: {
          ...(row.secret !== null && { secret: opened(row) }),
          ...(row.forwardUrl !== null && { forwardUrl: forwardOf(row) }),
        },
      }));
    },
    secretExamples: async () => ({ forwardUrl: "https://oncall.example.com/integrations/v1/webhook/abc/" }),
    ...{ versions: of.versions, rows: of.rowsById },
    async prepare({ hasStandIns }, { token: _token, ...given }, stored) {
      // The host of a stand-in is not asked for.
      const { forwardUrl: _url, ...known } = given;
      const spec = hasStandIns ? known : given;
      if (!stored) return void (await checkSettings(context, spec.preset, spec, NEW));
      const row = await found(context.db.read, stored.id);
      await checkSettings(context, spec.preset, changes(row, spec), storedSettings(row));
    },
    async create(trx, { caller, projectId }, id, spec) {
      const made = await receivers.insert(context, trx, caller, { ...spec, id, projectId: projectId ?? "" });
      const { url = "", mailAddress = null } = made.issued ?? {};
      return spec.token === undefined ? { url, ...(mailAddress !== null && { mailAddress }) } : undefined;
    },
    async update(trx, { caller, row: known }, { id }, spec) {
      const row = (known as ReceiverRow | undefined) ?? (await found(trx, id));
      await receivers.change(context, trx, row, changes(row, spec), caller);
      return undefined;
    },
    alertLabels: ({ labels }) => ({ labels: (labels ?? {}) as Record<string, string>, isPart: true }),
    async remove(trx, { caller }, { id }) {
      await receivers.remove(context, trx, await found(trx, id), caller, undefined);
    },
  });
  return [receiver];
}

import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { type Route, route, undescribed } from "../../../http/api/route.ts";
import { integer, object, text, uuid } from "../../../http/api/shapes.ts";
import type { Context } from "../../../module/feature.ts";
import { reseal } from "../../../store/sealed-column.ts";

const PATH = "/api/v1/operator";
/** On the control socket only. */
const shared = { tag: "Operator", access: { operatorOnly: true }, undocumented: true, response: undescribed } as const;

const Rotation = object({ keyId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/, "must be 8 hex digits"))) });

const BackupRecord = object({
  id: uuid,
  bytes: integer(0, Number.MAX_SAFE_INTEGER),
  sha256: text(64, 64),
  withSecrets: v.boolean(),
  node: v.optional(text(40, 1)),
  file: v.optional(text(4096, 1)),
});

/** The operator's routes for keys and backups of the server. */
export function operatorRoutes({ db, audit, box, sealedColumns }: Context<"sealedColumns">): Route[] {
  return [
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/encryption`,
      summary: "Encrypt everything at rest with the current key",
      body: Rotation,
      handle(_exchange, { body: { keyId } }) {
        if (keyId !== undefined && keyId !== box.keyId.toString("hex")) throw otherKey();
        return reseal({ database: db, audit, box }, sealedColumns);
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: `${PATH}/backups`,
      summary: "Record a backup in the audit trail",
      body: BackupRecord,
      status: 204,
      async handle(_exchange, { body: { id, node, file, ...backup } }) {
        const metadata = { ...backup, ...(node !== undefined && { node }), ...(file !== undefined && { file }) };
        await audit.record({ action: "backup.create", resourceType: "backup", resourceId: id, metadata });
      },
    }),
  ];
}

function otherKey(): PrismError {
  const what = "the running server does not have this encryption key yet";
  const how = "the new PRISM_ENCRYPTION_KEY and the old one in PRISM_PREVIOUS_ENCRYPTION_KEYS";
  return new PrismError("INVALID_STATE", `${what}; restart it with ${how} first`);
}

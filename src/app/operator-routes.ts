import * as v from "valibot";
import { PrismError } from "../core/errors.ts";
import { rotatePusherSecret } from "../features/pusher/index.ts";
import { type Route, route, undescribed } from "../http/route.ts";
import { integer, object, text, uuid } from "../http/shapes.ts";
import { type Context, type Feature, type FeatureCore, feature } from "../module/feature.ts";
import { reseal } from "../store/sealed-column.ts";
import { SEALED_COLUMNS } from "./sealed-columns.ts";

const PATH = "/api/v1/operator";
/** On the control socket only. */
const shared = { tag: "Operator", access: { operatorOnly: true }, undocumented: true, response: undescribed } as const;

/** What the operator does with the server itself: its keys, its Pusher app, its backups. @param readsOnly why nothing may be stored */
export const maintenanceFeature = (readsOnly: Error | null) =>
  feature("maintenance", {
    needs: ["pusher"],
    register(server, context) {
      server.route(pusherAppRoute(context, readsOnly));
      server.route(encryptionRoute(context));
      server.route(backupRoute(context));
    },
  });

function pusherAppRoute({ config, pusher }: Context<"pusher">, readsOnly: Error | null): Route {
  return route({
    ...shared,
    method: "GET",
    path: `${PATH}/pusher-app`,
    summary: "Get the app of the Pusher server; the secret of a configured one is not shown",
    handle() {
      if (readsOnly) throw readsOnly;
      const { appId, key, secret } = pusher;
      return config.pusher.secret === undefined ? { appId, key, secret } : { appId, key };
    },
  });
}

const Rotation = object({ keyId: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/, "must be 8 hex digits"))) });

function encryptionRoute({ db: database, audit, box }: FeatureCore): Route {
  return route({
    ...shared,
    method: "POST",
    path: `${PATH}/encryption`,
    summary: "Encrypt everything at rest with the current key",
    body: Rotation,
    handle(_exchange, { body: { keyId } }) {
      if (keyId !== undefined && keyId !== box.keyId.toString("hex")) throw otherKey();
      return reseal({ database, audit, box }, SEALED_COLUMNS);
    },
  });
}

function otherKey(): PrismError {
  const what = "the running server does not have this encryption key yet";
  const how = "the new PRISM_ENCRYPTION_KEY and the old one in PRISM_PREVIOUS_ENCRYPTION_KEYS";
  return new PrismError("INVALID_STATE", `${what}; restart it with ${how} first`);
}

const BackupRecord = object({
  id: uuid,
  bytes: integer(0, Number.MAX_SAFE_INTEGER),
  sha256: text(64, 64),
  withSecrets: v.boolean(),
});

function backupRoute({ audit }: FeatureCore): Route {
  return route({
    ...shared,
    method: "POST",
    path: `${PATH}/backups`,
    summary: "Record a backup in the audit trail",
    body: BackupRecord,
    status: 204,
    async handle(_exchange, { body: { id, ...metadata } }) {
      await audit.record({ action: "backup.create", resourceType: "backup", resourceId: id, metadata });
    },
  });
}

/**
 * What needs the data directory for itself: a running server would go on with what it has read. Of
 * a core for one command only.
 */
export function exclusiveFeature({ db: database, box, clock, audit }: FeatureCore): Feature {
  return {
    name: "exclusive",
    version: "1.0.0",
    register(server) {
      const rotate = route({
        ...shared,
        method: "POST",
        path: `${PATH}/pusher-app/rotate`,
        summary: "Give this server's own Pusher app another secret",
        handle: () => rotatePusherSecret({ database, box, clock, audit }),
      });
      server.route(rotate);
    },
  };
}

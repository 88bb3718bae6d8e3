import type { CoreServices } from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { AuditHeadKeeper } from "./audit-head.ts";

/** What the feature needs besides the services of every module. */
export interface AuditOwn {
  readonly db: Database;
  readonly dataDir: string;
  readonly auditKey: Uint8Array;
  readonly auditHead: AuditHeadKeeper;
}

export type AuditContext = AuditOwn & Pick<CoreServices, "audit">;

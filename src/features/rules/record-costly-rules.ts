import { runAs, SYSTEM } from "../../core/caller.ts";
import type { Logger } from "../../core/log.ts";
import type { Database } from "../../store/database.ts";
import type { AuditService } from "../audit/index.ts";
import type { RuleRow } from "./queries.ts";

/**
 * Makes the listener that stores and audits that a rule is no longer evaluated because its condition takes too long. It holds for this
 * version of the rule: a restart does not evaluate it again, a change does.
 */
export function recordCostlyRules(database: Database, audit: AuditService, log: Logger): (row: RuleRow) => void {
  return (row) => {
    runAs(SYSTEM, () => storeTooCostly(database, audit, row)).catch((error: unknown) =>
      log.warn({ ruleId: row.id, err: error }, "storing that a rule is broken failed"),
    );
  };
}

function storeTooCostly(database: Database, audit: AuditService, { id, version, projectId }: RuleRow): Promise<void> {
  const metadata = { version, projectId, code: "TOO_COSTLY" };
  return database.write(async (trx) => {
    const rule = trx.updateTable("rules").set({ tooCostlyVersion: version });
    await rule.where("id", "=", id).where("version", "=", version).execute();
    await audit.record({ action: "rule.break", resourceType: "rule", resourceId: id, metadata }, { trx });
  });
}

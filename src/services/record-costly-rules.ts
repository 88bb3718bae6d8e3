import { runAs, SYSTEM } from "../base/caller.ts";
import type { Logger } from "../base/log.ts";
import type { RuleRow } from "../pipeline/rule-book.ts";
import type { AuditService } from "./audit/audit.ts";

/** Makes the listener that records a rule which is no longer evaluated because its condition takes too long. */
export function recordCostlyRules(audit: AuditService, log: Logger): (row: RuleRow) => void {
  return ({ id, version, projectId }) => {
    const metadata = { version, projectId, code: "TOO_COSTLY" };
    runAs(SYSTEM, () => audit.record({ action: "rule.break", resourceType: "rule", resourceId: id, metadata })).catch(
      (error: unknown) => log.warn({ ruleId: id, err: error }, "recording a broken rule in the audit trail failed"),
    );
  };
}

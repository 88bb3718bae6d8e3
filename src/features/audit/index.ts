/** What other features may use of `audit`. */

export { AuditHeadKeeper, auditHeadLine, readAuditHead } from "./audit-head.ts";
export {
  type AuditEntry,
  type AuditHead,
  AuditService,
  type AuditTrail,
  auditRow,
  lastAuditSeq,
  verifyAudit,
} from "./audit-log.ts";
export { type AuditSweepParts, auditSweep } from "./retention.ts";

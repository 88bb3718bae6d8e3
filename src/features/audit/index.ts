/** The part of `audit` that other features may use. */

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

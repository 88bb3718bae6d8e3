/** What other features may use of `audit`. */

export { type AuditEntry, AuditService, type AuditTrail, auditRow } from "./audit.ts";
export { AuditHeadKeeper, auditHeadLine, readAuditHead } from "./audit-head.ts";
export { type AuditHead, lastAuditSeq, verifyAudit } from "./audit-log.ts";
export { type AuditSweepParts, auditSweep } from "./retention.ts";

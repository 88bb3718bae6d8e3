/** What other features may use of `audit`. */

export { type AuditEntry, AuditService, auditRow } from "./audit.ts";
export { auditHeadLine, readAuditHead } from "./audit-head.ts";
export { AuditHeadKeeper } from "./audit-head-keeper.ts";
export { type AuditHead, lastAuditSeq, verifyAudit } from "./audit-log.ts";
export { AuditRetention } from "./audit-retention.ts";

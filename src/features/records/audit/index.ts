/** The part of `audit` that other features may use. */

export { auditHeadLine, noteFirstHead, readAuditHead } from "./audit-head.ts";
export {
  type AuditEntry,
  type AuditHead,
  AuditLog,
  type AuditTrail,
  auditRow,
  lastAuditSeq,
  recordAction,
  verifyAudit,
} from "./audit-log.ts";

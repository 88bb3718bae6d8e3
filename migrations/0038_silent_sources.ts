/**
 * The credential by which each alert arrived, and of an incident whose source fell silent the
 * incident that reports this.
 */
export const sql = /* sql */ `
alter table alerts add column sender text;
alter table incidents add column sourceIncidentId text;
`;

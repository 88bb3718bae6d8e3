/**
 * Incidents that a person opens to page others, without alerts (`direct`), and people who are paged before the steps
 * of the policy (`assigned`), because they were paged directly or the incident was reassigned to them.
 */
export const sql = /* sql */ `
alter table incidents add column direct text check (json_valid(direct));
alter table incidents add column assigned text check (json_valid(assigned));
`;

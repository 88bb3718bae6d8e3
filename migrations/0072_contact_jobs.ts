/** The contact rules of an incident that have not run: each failed page asks for them. */
export const sql = /* sql */ `
create index jobs_contacts on jobs (correlationId, runAt) where kind = 'incident.contact' and finishedAt is null;
`;

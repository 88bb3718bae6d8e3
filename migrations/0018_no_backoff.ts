/** `jobs.backoff` was always null: a queue's settings say how long a failed job waits. */
export const sql = /* sql */ `
alter table jobs drop column backoff;
`;

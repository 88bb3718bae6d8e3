/**
 * Mails with links of accounts wait here, sealed, for the job with their id; each is removed when it was sent or its link has expired. The outcome
 * `limited` of decisions never occurred: a delivery that waits for a rate limit says so itself.
 */
export const sql = /* sql */ `
create table sealed_mails (
  id text primary key, content blob not null, expiresAt integer not null
) strict, without rowid;
create index sealed_mails_expires on sealed_mails (expiresAt);

alter table rule_stats drop column limited;
`;

/**
 * Requests with unknown keys of Opsgenie's, kept while a window is open. `claimId`: the same for all of a key that
 * waits. `alias`: null if a request names its alert otherwise. `outcome`: null while the key is not assigned.
 */
export const sql = /* sql */ `
create table integration_claims (
  id text primary key,
  claimId text not null,
  hash text not null,
  prefix text not null,
  at integer not null,
  address text not null,
  action text not null,
  alias text,
  message text,
  body text not null,
  bytes integer not null,
  keptUntil integer not null,
  outcome text,
  assignedAt integer,
  integrationId text
) strict, without rowid;
`;

/**
 * Accounts of providers (OpenID Connect, or a proxy's header as `proxy:<name>`) that sign an account in. `provider`:
 * its name in the configuration. `name`: what the provider calls the person. `tokens`: the refresh token, sealed, kept
 * with `groupsEvery` only. Sessions know how they were opened, `via`, and `sid`, the provider's own name of the
 * session; a challenge of the second factor knows it as JSON in `opening`, until then.
 */
export const sql = /* sql */ `
create table identities (
  id text primary key,
  issuer text not null,
  subject text not null,
  userId text not null references users (id),
  provider text,
  name text,
  linkedAt integer not null,
  lastUsedAt integer,
  tokens blob,
  groupsAt integer
) strict, without rowid;
create unique index identities_subject on identities (issuer, subject);
create index identities_user on identities (userId);
alter table sessions add column via text;
alter table sessions add column sid text;
create index sessions_sid on sessions (sid) where sid is not null;
alter table one_time_tokens add column opening text;
`;

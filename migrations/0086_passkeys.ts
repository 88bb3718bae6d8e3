/**
 * Passkeys of accounts (WebAuthn). Recovery codes belong to the account: a row of second_factors without a
 * secret has them for passkeys alone. A challenge that was answered is kept until it has expired.
 */
export const sql = /* sql */ `
create table passkeys (
  id text primary key, userId text not null references users (id), credentialId text not null unique,
  publicKey blob not null, counter integer not null, transports text not null,
  isBackedUp integer not null, isUserVerified integer not null, name text not null, rpId text not null,
  createdAt integer not null, lastUsedAt integer
) strict, without rowid;
create index passkeys_user on passkeys (userId);

create table used_challenges (
  expiresAt integer not null, challenge text not null, primary key (expiresAt, challenge)
) strict, without rowid;

create table new_second_factors (
  userId text primary key references users (id), secret blob, recoveryCodes text not null default '[]',
  lastStep integer not null default 0, failures integer not null default 0, enabledAt integer, createdAt integer not null
) strict, without rowid;
insert into new_second_factors
  select userId, secret, recoveryCodes, lastStep, failures, enabledAt, createdAt from second_factors;
drop table second_factors;
alter table new_second_factors rename to second_factors;
`;

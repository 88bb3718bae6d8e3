/**
 * A second factor of an account: its sealed TOTP secret, the hashes of its recovery codes, the last
 * time step a code was accepted for, and the wrong codes since then. One-time tokens also open
 * sign-in links and the second step of a login.
 */
export const sql = /* sql */ `
create table second_factors (
  userId text primary key references users (id), secret blob not null, recoveryCodes text not null default '[]',
  lastStep integer not null default 0, failures integer not null default 0, enabledAt integer, createdAt integer not null
) strict, without rowid;

create table new_one_time_tokens (
  hash text primary key, userId text not null references users (id),
  kind text not null check (kind in ('verify_email', 'reset_password', 'invite', 'sign_in', 'second_factor')),
  expiresAt integer not null, usedAt integer
) strict, without rowid;
insert into new_one_time_tokens select hash, userId, kind, expiresAt, usedAt from one_time_tokens;
drop index one_time_tokens_user;
drop table one_time_tokens;
alter table new_one_time_tokens rename to one_time_tokens;
create index one_time_tokens_user on one_time_tokens (userId, kind);
`;

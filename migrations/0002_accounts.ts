/** People who log in: sessions with their refresh tokens, the secrets of links in mails, and the devices that push goes to. */
export const sql = /* sql */ `
create table sessions (
  id text primary key, userId text not null references users (id), family text not null, userAgent text not null, ip text not null,
  createdAt integer not null, lastUsedAt integer not null, expiresAt integer not null, revokedAt integer, revokeReason text
) strict, without rowid;
create index sessions_user on sessions (userId, revokedAt);
create index sessions_expires on sessions (expiresAt);

create table refresh_tokens (
  hash text primary key, sessionId text not null references sessions (id) on delete cascade, issuedAt integer not null,
  expiresAt integer not null, usedAt integer, replacedBy text
) strict, without rowid;
create index refresh_tokens_session on refresh_tokens (sessionId);

create table one_time_tokens (
  hash text primary key, userId text not null references users (id),
  kind text not null check (kind in ('verify_email', 'reset_password', 'invite')), expiresAt integer not null, usedAt integer
) strict, without rowid;
create index one_time_tokens_user on one_time_tokens (userId, kind);

create table push_devices (
  id text primary key, userId text not null references users (id), kind text not null check (kind in ('fcm', 'apns')),
  device text not null, token blob not null, tokenHash text not null, disabledAt integer, lastUsedAt integer,
  createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index push_devices_token on push_devices (kind, tokenHash);
create unique index push_devices_device on push_devices (userId, kind, device);
`;

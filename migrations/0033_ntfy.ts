/** ntfy: topics, messages (their text is in `stream_log` once sent), access tokens and attachments. */
export const sql = /* sql */ `
create table ntfy_topics (
  name text primary key, kind text not null check (kind in ('messages', 'events', 'inbox')),
  projectId text, userId text, patterns text not null default '[]' check (json_valid(patterns)),
  createdBy text, createdAt integer not null,
  check ((kind = 'inbox') = (projectId is null)), check ((kind = 'inbox') = (userId is not null))
) strict, without rowid;

create table ntfy_messages (
  id text primary key, topic text not null, sequenceId text not null, seq integer, at integer not null,
  dueAt integer, expiresAt integer not null, body text check (body is null or json_valid(body)), sender text,
  check ((seq is null) = (dueAt is not null)), check ((body is null) = (dueAt is null))
) strict, without rowid;
create index ntfy_messages_topic on ntfy_messages (topic, at) where seq is not null;
create index ntfy_messages_due on ntfy_messages (topic, dueAt) where dueAt is not null;
create index ntfy_messages_expiry on ntfy_messages (expiresAt) where seq is not null;

create table ntfy_tokens (
  hash text primary key, userId text not null, last4 text not null, label text, createdAt integer not null,
  expiresAt integer, lastUsedAt integer, lastOrigin text
) strict, without rowid;
create index ntfy_tokens_user on ntfy_tokens (userId, createdAt);

create table ntfy_attachments (
  id text primary key, owner text not null, name text not null, type text not null,
  sizeBytes integer not null, createdAt integer not null, expiresAt integer not null
) strict, without rowid;
create index ntfy_attachments_owner on ntfy_attachments (owner);
create index ntfy_attachments_expiry on ntfy_attachments (expiresAt);
`;

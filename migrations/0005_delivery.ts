/** How notifications leave the house, and what S2 watches besides events: attempts on outside channels, webhooks, transfer buckets, sounds. */
export const sql = /* sql */ `
alter table notifications add column channels text check (json_valid(channels));

create table deliveries (
  id text primary key, notificationId text not null, userId text not null,
  channel text not null check (channel in ('pusher', 'fcm', 'apns', 'email', 'webhook')), target text not null default '',
  state text not null check (state in ('queued', 'sending', 'delivered', 'failed', 'dead', 'skipped')), attempts integer not null default 0,
  reason text, providerId text, lastError text, jobId text, deliveredAt integer, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index deliveries_target on deliveries (notificationId, userId, channel, target);
-- Whether a channel of a notification still has something to do, and what of a user's waits to be told as one.
create index deliveries_open on deliveries (notificationId, channel) where state in ('queued', 'sending', 'failed');
create index deliveries_merged on deliveries (userId) where reason = 'rate limited' and state = 'queued';
create index deliveries_updated on deliveries (updatedAt);

create table webhooks (
  id text primary key, projectId text references projects (id), userId text references users (id), url text not null, secret blob not null,
  previousSecret blob, previousSecretUntil integer, eventTypes text not null check (json_valid(eventTypes)), active integer not null default 1, failures integer not null default 0,
  disabledAt integer, createdBy text, version integer not null default 1, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create index webhooks_project on webhooks (projectId) where projectId is not null;
create index webhooks_user on webhooks (userId) where userId is not null;

create table transfer_buckets (
  id text primary key, name text not null, currentBalance text not null, threshold text not null, currency text not null,
  state text not null check (state in ('ok', 'below')), lastAlertAt integer, renotifyMs integer not null, version integer not null default 1,
  createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index transfer_buckets_name on transfer_buckets (name, currency);
create index transfer_buckets_state on transfer_buckets (state);

create table sounds (
  id text primary key, filename text not null collate nocase, mime text not null, bytes integer not null, sha256 text not null,
  storage text not null check (storage in ('local', 's3')), storageKey text not null, durationMs integer, createdBy text,
  createdAt integer not null, deletedAt integer
) strict, without rowid;
create unique index sounds_filename on sounds (filename) where deletedAt is null;
create index sounds_created on sounds (createdAt) where deletedAt is null;
create index rules_sound on rules (sound collate nocase) where sound is not null and deletedAt is null;
`;

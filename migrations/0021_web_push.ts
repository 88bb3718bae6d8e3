/**
 * The channel `webpush`: its subscriptions are rows of `push_devices`, with the endpoint and keys sealed as one value. SQLite cannot
 * change a check constraint, so both tables are copied. Rules with the default channels of their time get the new one.
 */
export const sql = /* sql */ `
drop index push_devices_token;
drop index push_devices_device;
drop index push_devices_session;

create table push_devices_new (
  id text primary key, userId text not null references users (id), kind text not null check (kind in ('fcm', 'apns', 'webpush')),
  device text not null, token blob not null, tokenHash text not null, disabledAt integer, lastUsedAt integer,
  createdAt integer not null, updatedAt integer not null, sessionId text
) strict, without rowid;
insert into push_devices_new (id, userId, kind, device, token, tokenHash, disabledAt, lastUsedAt, createdAt, updatedAt, sessionId)
  select id, userId, kind, device, token, tokenHash, disabledAt, lastUsedAt, createdAt, updatedAt, sessionId from push_devices;
drop table push_devices;
alter table push_devices_new rename to push_devices;
create unique index push_devices_token on push_devices (kind, tokenHash);
create unique index push_devices_device on push_devices (userId, kind, device);
create index push_devices_session on push_devices (sessionId) where sessionId is not null;

drop index deliveries_target;
drop index deliveries_open;
drop index deliveries_merged;
drop index deliveries_updated;

create table deliveries_new (
  id text primary key, notificationId text not null, userId text not null,
  channel text not null check (channel in ('pusher', 'fcm', 'apns', 'webpush', 'email', 'webhook')), target text not null default '',
  state text not null check (state in ('queued', 'sending', 'delivered', 'failed', 'dead', 'skipped')), attempts integer not null default 0,
  reason text, providerId text, lastError text, jobId text, deliveredAt integer, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
insert into deliveries_new
  (id, notificationId, userId, channel, target, state, attempts, reason, providerId, lastError, jobId, deliveredAt, createdAt, updatedAt)
  select id, notificationId, userId, channel, target, state, attempts, reason, providerId, lastError, jobId, deliveredAt, createdAt, updatedAt
  from deliveries;
drop table deliveries;
alter table deliveries_new rename to deliveries;
create unique index deliveries_target on deliveries (notificationId, userId, channel, target);
create index deliveries_open on deliveries (notificationId, channel) where state in ('queued', 'sending', 'failed');
create index deliveries_merged on deliveries (userId) where reason = 'rate limited' and state = 'queued';
create index deliveries_updated on deliveries (updatedAt);

update rules set channels = '["in_app","pusher","fcm","apns","webpush"]'
  where channels = '["in_app","pusher","fcm","apns"]' and deletedAt is null;
`;

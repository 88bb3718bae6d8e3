/**
 * Channels to chat, push and paging services, the messages in them that may change later, and `service` as the channel of deliveries.
 * SQLite cannot change a check constraint, so deliveries are copied. Rules with the default channels of their time get the new one.
 */
export const sql = /* sql */ `
create table channels (
  id text primary key, name text not null, preset text not null, projectId text, userId text references users (id),
  fields text not null default '{}' check (json_valid(fields)), secrets blob not null,
  eventTypes text not null default '["*"]' check (json_valid(eventTypes)), minPriority integer not null default 0,
  sendResolved integer not null default 1, acknowledgeLink integer not null default 1, template text check (template is null or json_valid(template)),
  active integer not null default 1, failures integer not null default 0, disabledAt integer, disabledReason text,
  createdBy text, version integer not null default 1, createdAt integer not null, updatedAt integer not null,
  check ((projectId is null) <> (userId is null))
) strict, without rowid;
create index channels_active on channels (id) where active = 1;
create index channels_user on channels (userId) where userId is not null;
create index channels_project on channels (projectId) where projectId is not null;

create table channel_messages (
  id text primary key, channelId text not null, key text not null, ref blob, state text not null,
  wanted text check (wanted is null or json_valid(wanted)), wantedVersion integer not null default 0,
  sentVersion integer not null default 0, error text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index channel_messages_key on channel_messages (channelId, key);
create index channel_messages_updated on channel_messages (updatedAt);

drop index deliveries_target;
drop index deliveries_open;
drop index deliveries_merged;
drop index deliveries_updated;

create table deliveries_new (
  id text primary key, notificationId text not null, userId text not null,
  channel text not null check (channel in ('pusher', 'fcm', 'apns', 'webpush', 'email', 'webhook', 'service')), target text not null default '',
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

update rules set channels = '["in_app","pusher","fcm","apns","webpush","service"]'
  where channels = '["in_app","pusher","fcm","apns","webpush"]' and deletedAt is null;
`;

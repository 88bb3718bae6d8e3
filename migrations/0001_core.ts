/**
 * The core: people, projects, events, rules, decisions, notifications, streams, jobs, audit.
 * Times are integer epoch milliseconds, JSON is text, booleans are 0 or 1. Tables with a text or composite key have no rowid:
 * every b-tree less is a page less in each commit. `seq` columns are rowids, so an index on other columns already ends in them.
 */
export const sql = /* sql */ `
create table settings (
  key text primary key, value any, updatedBy text, updatedAt integer not null
) strict, without rowid;

create table roles (
  id text primary key, name text not null collate nocase, permissions text not null check (json_valid(permissions)),
  description text not null default '', builtin integer not null default 0, version integer not null default 1,
  createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index roles_name on roles (name);

create table users (
  id text primary key, email text, username text, phone text, externalId text, name text not null default '',
  passwordHash text, status text not null check (status in ('pending', 'active', 'disabled', 'unverified')),
  timezone text not null default 'UTC', locale text not null default 'en', prefs text not null default '{}' check (json_valid(prefs)),
  passwordChangedAt integer, lastLoginAt integer, deletedAt integer, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index users_email on users (email) where email is not null and deletedAt is null;
create unique index users_username on users (username) where username is not null and deletedAt is null;
create unique index users_phone on users (phone) where phone is not null and deletedAt is null;
create unique index users_external_id on users (externalId) where externalId is not null and deletedAt is null;
create index users_status on users (status, createdAt);

create table user_roles (
  userId text not null references users (id), roleId text not null references roles (id),
  grantedBy text, createdAt integer not null, primary key (userId, roleId)
) strict, without rowid;
create index user_roles_role on user_roles (roleId);

create table service_tokens (
  id text primary key, userId text not null references users (id), name text not null, hash text not null, prefix text not null,
  scopes text not null check (json_valid(scopes)), expiresAt integer, lastUsedAt integer, revokedAt integer, createdAt integer not null
) strict, without rowid;
create unique index service_tokens_hash on service_tokens (hash);
create index service_tokens_user on service_tokens (userId);

create table projects (
  id text primary key, slug text not null, name text not null, ownerId text references users (id),
  settings text not null default '{}' check (json_valid(settings)), version integer not null default 1,
  deletedAt integer, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index projects_slug on projects (slug) where deletedAt is null;

create table project_members (
  projectId text not null references projects (id), userId text not null references users (id),
  role text not null check (role in ('owner', 'editor', 'viewer')), createdAt integer not null, primary key (projectId, userId)
) strict, without rowid;
create index project_members_user on project_members (userId);

create table api_keys (
  id text primary key, projectId text not null references projects (id), name text not null, prefix text not null, hash text not null,
  scopes text not null check (json_valid(scopes)), rateLimit integer, expiresAt integer, lastUsedAt integer, revokedAt integer,
  createdBy text, createdAt integer not null
) strict, without rowid;
create unique index api_keys_hash on api_keys (hash);
create index api_keys_project on api_keys (projectId, createdAt);

create table events (
  seq integer primary key, id text not null, projectId text not null, type text not null, level text not null, source text,
  payload text not null, dedupeKey text, occurredAt integer not null, receivedAt integer not null, processedAt integer, correlationId text
) strict;
create unique index events_id on events (id);
create unique index events_dedupe on events (projectId, dedupeKey) where dedupeKey is not null;
create index events_project on events (projectId);
create index events_type on events (projectId, type);
create index events_errors on events (projectId) where level in ('error', 'fatal');
create index events_unprocessed on events (processedAt) where processedAt is null;

create table event_failures (
  consumer text not null, eventSeq integer not null, attempts integer not null, lastError text, jobId text,
  createdAt integer not null, resolvedAt integer, primary key (consumer, eventSeq)
) strict, without rowid;
create index event_failures_open on event_failures (eventSeq) where resolvedAt is null;

create table rules (
  id text primary key, projectId text references projects (id), name text not null, description text not null default '',
  condition text not null, targetRoles text not null check (json_valid(targetRoles)), targetUsers text not null check (json_valid(targetUsers)),
  channels text not null check (json_valid(channels)), titleTemplate text not null, messageTemplate text not null, sound text,
  action text check (json_valid(action)), priority integer not null default 0, active integer not null default 1,
  version integer not null default 1, createdBy text references users (id), deletedAt integer,
  createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create index rules_active on rules (active, projectId) where deletedAt is null;
create index rules_created_by on rules (createdBy, createdAt);
create index rules_created_at on rules (createdAt) where deletedAt is null;
create index rules_name on rules (name) where deletedAt is null;
create index rules_priority on rules (priority) where deletedAt is null;
create index rules_updated_at on rules (updatedAt) where deletedAt is null;

create table rule_versions (
  ruleId text not null references rules (id), version integer not null, definition text not null check (json_valid(definition)),
  createdBy text, createdAt integer not null, primary key (ruleId, version)
) strict, without rowid;

create table rule_stats (
  ruleId text primary key, matched integer not null default 0, fired integer not null default 0, noRecipients integer not null default 0,
  errors integer not null default 0, lastMatchedAt integer, lastError text
) strict, without rowid;

create table decisions (
  eventSeq integer not null, ruleId text not null, ruleVersion integer not null, outcome text not null, notificationId text, at integer not null,
  primary key (eventSeq, ruleId)
) strict, without rowid;
create index decisions_rule on decisions (ruleId, eventSeq);

create table notifications (
  id text primary key, ruleId text, eventId text, projectId text, kind text not null, title text not null, message text not null,
  sound text, action text, data text, priority integer not null default 0, dedupeKey text, aggregateCount integer not null default 1,
  scheduledJobId text, delivered integer not null default 0, pusherEventSent integer not null default 0, correlationId text not null,
  createdAt integer not null, deliveredAt integer, expiresAt integer
) strict, without rowid;
create unique index notifications_scheduled on notifications (scheduledJobId) where scheduledJobId is not null;
create index notifications_rule on notifications (ruleId, createdAt) where ruleId is not null;
create index notifications_project on notifications (projectId, createdAt) where projectId is not null;
create index notifications_dedupe on notifications (ruleId, dedupeKey, createdAt) where dedupeKey is not null;

create table notification_recipients (
  notificationId text not null, userId text not null, seq integer not null, delivered integer not null default 0, deliveredAt integer,
  readAt integer, acknowledgedAt integer, openedAt integer, deletedAt integer, primary key (userId, seq)
) strict, without rowid;
create unique index notification_recipients_notification on notification_recipients (notificationId, userId);
-- With the columns of their own conditions, which add nothing: without them SQLite takes neither index as covering and reads the whole inbox.
create index notification_recipients_unread on notification_recipients (userId, readAt, deletedAt)
where readAt is null and deletedAt is null;
create index notification_recipients_undelivered on notification_recipients (userId, delivered, deletedAt)
where delivered = 0 and deletedAt is null;

create table stream_log (
  seq integer primary key, stream text not null, type text not null, data text not null, correlationId text not null, createdAt integer not null
) strict;
create index stream_log_stream on stream_log (stream);

create table stream_gaps (
  stream text not null, fromSeq integer not null, toSeq integer not null, primary key (stream, fromSeq)
) strict, without rowid;

create table jobs (
  seq integer primary key, id text not null, queue text not null, kind text not null, payload text not null check (json_valid(payload)),
  state text not null check (state in ('scheduled', 'ready', 'running', 'retrying', 'succeeded', 'dead', 'cancelled')),
  priority integer not null default 0, runAt integer not null, attempts integer not null default 0, maxAttempts integer not null,
  backoff text, dedupeKey text, workerId text, fence integer not null default 0, label text, module text, createdBy text, scheduleId text,
  lastError text, progress text, result text, correlationId text, startedAt integer, finishedAt integer, createdAt integer not null
) strict;
create unique index jobs_id on jobs (id);
create index jobs_ready on jobs (queue, priority desc, runAt, seq) where state = 'ready';
create index jobs_due on jobs (runAt) where state in ('scheduled', 'retrying');
create index jobs_running on jobs (workerId) where state = 'running';
create index jobs_dead on jobs (queue) where state = 'dead';
create unique index jobs_dedupe on jobs (queue, dedupeKey) where dedupeKey is not null and finishedAt is null;
create index jobs_finished on jobs (finishedAt) where finishedAt is not null;

create table job_attempts (
  jobId text not null, attempt integer not null, startedAt integer not null, endedAt integer, outcome text not null, error text,
  worker text not null, primary key (jobId, attempt)
) strict, without rowid;

create table workers (
  id text primary key, pid integer not null, host text not null, startedAt integer not null, leaseUntil integer not null
) strict, without rowid;

create table idempotency_keys (
  scope text not null, key text not null, fingerprint text not null, status integer, response text, createdAt integer not null,
  expiresAt integer not null, primary key (scope, key)
) strict, without rowid;
create index idempotency_keys_expires on idempotency_keys (expiresAt);

create table audit_log (
  seq integer primary key autoincrement, id text not null, action text not null, userId text, actor text not null,
  resourceType text, resourceId text, metadata text not null, ip text, requestId text, timestamp integer not null,
  prevHash text not null, hash text not null
) strict;
create unique index audit_log_id on audit_log (id);
create index audit_log_user on audit_log (userId) where userId is not null;
create index audit_log_resource on audit_log (resourceType) where resourceType is not null;
create index audit_log_resource_id on audit_log (resourceId) where resourceId is not null;
create index audit_log_request on audit_log (requestId) where requestId is not null;
create index audit_log_action on audit_log (action);

-- The log only grows. Retention alone opens the gate, inside its own transaction.
create trigger audit_log_no_update before update on audit_log begin
  select raise(abort, 'audit_log is append-only');
end;
create trigger audit_log_no_delete before delete on audit_log
when not exists (select 1 from settings where key = 'audit.gate' and value = 1) begin
  select raise(abort, 'audit_log is append-only');
end;
create trigger audit_log_append before insert on audit_log
when new.seq <= coalesce((select seq from sqlite_sequence where name = 'audit_log'), 0) begin
  select raise(abort, 'audit_log is append-only');
end;
`;

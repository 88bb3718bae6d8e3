/** What happens later and what outsiders add: schedules, delayed messages, tasks, modules, and readers of the event log with a place of their own. */
export const sql = /* sql */ `
create table schedules (
  id text primary key, name text not null, cron text, everyMs integer, timezone text not null, queue text not null, kind text not null,
  payload text not null check (json_valid(payload)), label text, missed text not null check (missed in ('skip', 'once', 'all')),
  overlap text not null check (overlap in ('skip', 'allow')), active integer not null default 1, lastRunAt integer, nextRunAt integer,
  maxAttempts integer, module text, createdBy text, version integer not null default 1, createdAt integer not null, updatedAt integer not null,
  check ((cron is null) <> (everyMs is null))
) strict, without rowid;
create unique index schedules_name on schedules (name);
create index schedules_next on schedules (nextRunAt) where active = 1 and nextRunAt is not null;
create index schedules_created_by on schedules (createdBy, createdAt) where createdBy is not null;

create index jobs_of_schedule on jobs (scheduleId) where scheduleId is not null and finishedAt is null;
-- Timers, recurring ones' firings, and scheduled notifications that have not ended, by whose they are.
create index jobs_timers on jobs (createdBy, id) where queue = 'timers' and finishedAt is null;
create index jobs_timers_of_all on jobs (id) where queue = 'timers' and finishedAt is null;
create index jobs_timers_of_module on jobs (module, label) where queue = 'timers' and module is not null and finishedAt is null;

create table messages (
  id text primary key, senderId text not null references users (id), recipientId text not null references users (id), content blob not null,
  status text not null check (status in ('scheduled', 'queued', 'delivering', 'retrying', 'delivered', 'read', 'dead', 'cancelled')),
  delayMs integer not null, deliverAt integer not null, jobId text not null, attempts integer not null default 0, lastError text,
  deliveredAt integer, readAt integer, cancelledAt integer, history text not null check (json_valid(history)), correlationId text not null,
  createdAt integer not null, updatedAt integer not null
) strict, without rowid;
-- What a recipient sees; and all lists are in the order in which messages are due.
create index messages_recipient on messages (recipientId, deliverAt) where status in ('delivered', 'read');
create index messages_sender on messages (senderId, deliverAt);
create index messages_pair on messages (senderId, recipientId, deliverAt);
create index messages_job on messages (jobId);

create table tasks (
  id text primary key, userId text not null references users (id), title text not null, description text not null default '',
  status text not null check (status in ('TODO', 'IN_PROGRESS', 'DONE', 'CANCELLED')), priority integer not null default 0, dueAt integer,
  version integer not null default 1, deletedAt integer, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create index tasks_status on tasks (userId, status, priority) where deletedAt is null;
create index tasks_updated on tasks (userId, updatedAt) where deletedAt is null;
create index tasks_created on tasks (userId, createdAt) where deletedAt is null;

create table modules (
  name text primary key, version text not null, path text not null, state text not null check (state in ('loading', 'active', 'failed', 'disabled')),
  error text, enabled integer not null default 1, routes text not null default '[]' check (json_valid(routes)), updatedAt integer not null
) strict, without rowid;

create table module_kv (
  module text not null, key text not null, value text not null check (json_valid(value)), updatedAt integer not null, primary key (module, key)
) strict, without rowid;

-- The service token by which a worker elsewhere claims. The server's own process has no row: its lease is the lock on the data directory.
alter table workers add column tokenId text;
create index workers_lease on workers (leaseUntil);

create table event_consumers (
  name text primary key, cursor integer not null, updatedAt integer not null
) strict, without rowid;
`;

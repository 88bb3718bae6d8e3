/** Heartbeats: jobs that report, their pings and changes of status, and the keys of projects. */
export const sql = /* sql */ `
create table heartbeats (
  id text primary key, projectId text not null, pingUuid text not null, badgeUuid text not null,
  name text not null, slug text not null, tags text not null default '', description text not null default '',
  kind text not null check (kind in ('simple', 'cron', 'oncalendar')), timeoutMs integer not null, graceMs integer not null,
  schedule text, timezone text not null default 'UTC', methods text not null default '',
  filters text not null default '{}' check (json_valid(filters)), manualResume integer not null default 0,
  channels text not null default '[]' check (json_valid(channels)), labels text not null default '{}' check (json_valid(labels)),
  severity text, status text not null check (status in ('new', 'up', 'down', 'paused')), pingCount integer not null default 0,
  lastPingAt integer, lastStartAt integer, lastStartRid text, lastDurationMs integer, dueAt integer,
  version integer not null default 1, createdBy text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index heartbeats_ping on heartbeats (pingUuid);
create unique index heartbeats_badge on heartbeats (badgeUuid);
create index heartbeats_slug on heartbeats (projectId, slug);
create index heartbeats_project on heartbeats (projectId, id);
create index heartbeats_due on heartbeats (dueAt) where dueAt is not null;

create table heartbeat_pings (
  heartbeatId text not null, n integer not null, at integer not null,
  kind text not null check (kind in ('success', 'start', 'fail', 'log', 'ignored')),
  exitStatus integer, rid text, durationMs integer, scheme text not null, method text not null, userAgent text not null,
  address text, body blob, primary key (heartbeatId, n)
) strict, without rowid;

create table heartbeat_flips (
  id text primary key, heartbeatId text not null, at integer not null, foundAt integer not null,
  fromStatus text not null, status text not null, reason text not null
) strict, without rowid;
create index heartbeat_flips_heartbeat on heartbeat_flips (heartbeatId, at, id);
create index heartbeat_flips_at on heartbeat_flips (at);

create table heartbeat_keys (
  projectId text primary key, pingKey text, badgeKey text not null, badgeSecret text not null, updatedAt integer not null
) strict, without rowid;
create unique index heartbeat_keys_ping on heartbeat_keys (pingKey) where pingKey is not null;
create unique index heartbeat_keys_badge on heartbeat_keys (badgeKey);
`;

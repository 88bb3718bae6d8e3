/** Public status pages: settings, the history of their components, notices and subscribers. */
export const sql = /* sql */ `
create table status_pages (
  projectId text primary key, document text not null check (json_valid(document)),
  version integer not null default 1, updatedBy text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;

create table status_changes (
  componentId text not null, at integer not null, projectId text not null,
  state text not null check (state in ('operational', 'maintenance', 'degraded', 'partial', 'outage')),
  primary key (componentId, at)
) strict, without rowid;
create index status_changes_project on status_changes (projectId, at);
create index status_changes_at on status_changes (at);

create table status_sent (
  componentId text primary key, projectId text not null, state text not null, at integer not null
) strict, without rowid;

create table status_notices (
  id text primary key, projectId text not null, kind text not null check (kind in ('incident', 'maintenance')),
  title text not null, components text not null default '[]' check (json_valid(components)),
  startsAt integer not null, endsAt integer, resolvedAt integer,
  createdBy text, createdAt integer not null, updatedAt integer not null, version integer not null default 1
) strict, without rowid;
create index status_notices_project on status_notices (projectId, id);
create index status_notices_open on status_notices (projectId) where resolvedAt is null;
create index status_notices_resolved on status_notices (resolvedAt) where resolvedAt is not null;

create table status_notice_updates (
  noticeId text not null, n integer not null, at integer not null, state text not null, text text not null,
  primary key (noticeId, n)
) strict, without rowid;

create table status_subscribers (
  id text primary key, projectId text not null, hash text not null, address blob not null,
  createdAt integer not null, mailedAt integer not null, confirmedAt integer
) strict, without rowid;
create unique index status_subscribers_hash on status_subscribers (projectId, hash);
create index status_subscribers_project on status_subscribers (projectId, id);
create index status_subscribers_pending on status_subscribers (createdAt) where confirmedAt is null;
`;

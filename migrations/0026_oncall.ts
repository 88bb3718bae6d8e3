/** On-call schedules with their shifts, imported calendars, and what has been reported of them. */
export const sql = /* sql */ `
create table oncall_schedules (
  id text primary key, projectId text not null, name text not null, description text not null default '',
  timezone text not null, handoverLeadMs integer, notifiesOff integer not null default 0,
  reportsGaps integer not null default 1, tokenHash text,
  onCall text not null default '[]' check (json_valid(onCall)), checkedAt integer, gapsAt integer, dueAt integer,
  version integer not null default 1, createdBy text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create unique index oncall_schedules_name on oncall_schedules (projectId, name);

create table oncall_shifts (
  id text primary key, scheduleId text not null references oncall_schedules (id) on delete cascade,
  kind text not null check (kind in ('rotation', 'single', 'override', 'swap')), name text not null default '',
  level integer not null check (level between 0 and 10), startLocal text not null, durationMs integer not null,
  timezone text not null, recurrence text check (json_valid(recurrence)),
  turns text not null check (json_valid(turns)), startTurn integer not null default 0, swapFor text,
  validFrom integer, validUntil integer, currentId text, version integer not null default 1,
  createdBy text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create index oncall_shifts_schedule on oncall_shifts (scheduleId, id);

create table oncall_calendars (
  scheduleId text primary key references oncall_schedules (id) on delete cascade, url text, etag text,
  content text, hash text, checkedAt integer, changedAt integer, error text, dueAt integer
) strict, without rowid;

create table oncall_notices (
  scheduleId text not null references oncall_schedules (id) on delete cascade, userId text not null,
  startsAt integer not null, sentAt integer not null, primary key (scheduleId, userId, startsAt)
) strict, without rowid;

create table oncall_gaps (
  scheduleId text not null references oncall_schedules (id) on delete cascade, startsAt integer not null,
  endsAt integer not null, reportedAt integer not null, primary key (scheduleId, startsAt)
) strict, without rowid;

create table oncall_users (
  userId text primary key references users (id), handoverLeadMs integer, tokenHash text
) strict, without rowid;
`;

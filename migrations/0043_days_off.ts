/** Days off of users, and the notices of users who are on call on them. */
export const sql = /* sql */ `
create table oncall_days_off (
  id text primary key, userId text not null references users (id), firstDay text not null, lastDay text not null,
  note text not null default '', version integer not null default 1,
  createdBy text, createdAt integer not null, updatedAt integer not null
) strict, without rowid;
create index oncall_days_off_user on oncall_days_off (userId, firstDay);
create index oncall_days_off_last on oncall_days_off (lastDay);

create table oncall_conflicts (
  scheduleId text not null references oncall_schedules (id) on delete cascade, userId text not null,
  startsAt integer not null, endsAt integer not null, noticeId text not null,
  primary key (scheduleId, userId, startsAt)
) strict, without rowid;
`;

/**
 * Drills: test pages that ask a person to confirm each way. What came of a message is in `pages`, by the id of the way.
 * `address` is a hash of where the way leads: a changed one has no proof.
 */
export const sql = /* sql */ `
create table drills (
  id text primary key, userId text not null, startedBy text, notificationId text not null, startedAt integer not null
) strict, without rowid;
create index drills_user on drills (userId, startedAt);
create index drills_started on drills (startedAt);

create table drill_ways (
  id text primary key, drillId text not null, userId text not null, target text not null, address text not null,
  name text not null, channel text not null, startedAt integer not null, confirmedAt integer
) strict, without rowid;
create index drill_ways_user on drill_ways (userId, startedAt);
create index drill_ways_drill on drill_ways (drillId);

create table drill_people (
  userId text primary key, day integer, hour integer, takesPart integer not null default 1,
  plannedAfter integer, deferredUntil integer
) strict, without rowid;
create index drill_people_planned on drill_people (plannedAfter) where plannedAfter is not null;
`;

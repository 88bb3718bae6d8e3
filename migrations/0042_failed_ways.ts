/**
 * Failed ways: targets of a project's pages that accept nothing, and the notices that its owners got
 * of them.
 */
export const sql = /* sql */ `
create table failed_ways (
  target text not null, projectId text not null, kind text not null check (kind in ('delivery', 'channel', 'webhook')),
  provider text not null, policyId text not null, error text not null,
  since integer not null, failedAt integer not null, primary key (target, projectId)
) strict, without rowid;
create index failed_ways_project on failed_ways (projectId);
create index failed_ways_since on failed_ways (since);

create table way_notices (
  projectId text not null, userId text not null, notificationId text not null, sentAt integer not null,
  endedAt integer, primary key (projectId, userId)
) strict, without rowid;
`;

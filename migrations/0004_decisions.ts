/** What keeps rules from telling too much: windows of matches, storms that are held back, and the rules' own settings for them. */
export const sql = /* sql */ `
alter table rules add column suppression text check (json_valid(suppression));
alter table rules add column dedupe text check (json_valid(dedupe));
alter table rules add column cooldownMs integer not null default 0;
alter table rule_stats add column suppressed integer not null default 0;
alter table rule_stats add column deduped integer not null default 0;
alter table rule_stats add column cooled integer not null default 0;
alter table rule_stats add column limited integer not null default 0;

create table suppression_windows (
  ruleId text not null, key text not null, bucketStart integer not null, count integer not null, primary key (ruleId, key, bucketStart)
) strict, without rowid;

create table suppressed_batches (
  id text primary key, ruleId text not null, key text not null, count integer not null, firstSeq integer not null, lastSeq integer not null,
  samples text not null check (json_valid(samples)), startedAt integer not null, lastAt integer not null, jobId text not null, noticeId text,
  toldCount integer not null default 0, closedAt integer
) strict, without rowid;
create unique index suppressed_batches_open on suppressed_batches (ruleId, key) where closedAt is null;
create index suppressed_batches_rule on suppressed_batches (ruleId, firstSeq);
create index suppressed_batches_closed on suppressed_batches (closedAt) where closedAt is not null;
`;

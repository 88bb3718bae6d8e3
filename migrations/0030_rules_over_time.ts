/**
 * Rules over time: thresholds, absences and alerts. A decision of such a rule has the key it counts
 * under, so that counts are read again after a restart.
 */
export const sql = /* sql */ `
alter table rules add column threshold text check (json_valid(threshold));
alter table rules add column absence text check (json_valid(absence));
alter table rules add column alert text check (json_valid(alert));
alter table rule_stats add column counted integer not null default 0;
alter table rule_stats add column alertsOpened integer not null default 0;
alter table rule_stats add column alertsResolved integer not null default 0;

alter table decisions add column key text;
create index decisions_key on decisions (ruleId, key, eventSeq) where key is not null;

create table rule_absences (
  ruleId text not null, projectId text not null, key text not null, lastAt integer not null, lastSeq integer not null,
  firedAt integer, primary key (ruleId, projectId, key)
) strict, without rowid;
`;

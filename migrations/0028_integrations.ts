/** Integrations: keys by which other programs send alerts in PagerDuty's and Opsgenie's protocols. */
export const sql = /* sql */ `
create table integrations (
  id text primary key, projectId text not null, kind text not null check (kind in ('pagerduty', 'opsgenie')),
  name text not null, labels text not null default '{}' check (json_valid(labels)),
  prefix text not null, hash text not null, previousHash text, previousUntil integer,
  createdBy text, createdAt integer not null, updatedAt integer not null, lastUsedAt integer, version integer not null default 1
) strict, without rowid;
create unique index integrations_hash on integrations (hash);
create unique index integrations_name on integrations (projectId, name);

create index alerts_opsgenie_key on alerts (sourceId, key, startsAt) where source = 'opsgenie';
create index alerts_opsgenie_start on alerts (sourceId, startsAt, id) where source = 'opsgenie';
`;

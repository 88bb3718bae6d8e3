/**
 * Receivers: URLs at which other programs deliver requests, the log of these requests, and the ids
 * that refuse replays.
 */
export const sql = /* sql */ `
create table receivers (
  id text primary key, projectId text not null, name text not null, preset text not null,
  mapping text check (json_valid(mapping)), verify text check (json_valid(verify)),
  labels text not null default '{}' check (json_valid(labels)), prefix text not null, hash text not null,
  previousHash text, previousUntil integer, secret blob, previousSecret blob, previousSecretUntil integer,
  isActive integer not null default 1, maxBodyBytes integer not null, perSecond integer not null, burst integer not null,
  createdBy text, createdAt integer not null, updatedAt integer not null, version integer not null default 1
) strict, without rowid;
create unique index receivers_hash on receivers (hash);
create unique index receivers_name on receivers (projectId, name);

create table receiver_requests (
  id text primary key, receiverId text not null, at integer not null, result text not null, status integer not null,
  method text not null, query text not null, headers text not null check (json_valid(headers)),
  bytes integer not null, body blob, isCut integer not null,
  outcome text not null check (json_valid(outcome))
) strict, without rowid;
create index receiver_requests_receiver on receiver_requests (receiverId, id);
create index receiver_requests_at on receiver_requests (at);

create table receiver_replays (
  receiverId text not null, replayId text not null, at integer not null, primary key (receiverId, replayId)
) strict, without rowid;
create index receiver_replays_at on receiver_replays (at);

update roles set version = version + 1, permissions = (select json_group_array(value) from (
  select value from json_each(roles.permissions) union all
  select value from json_each('["receivers:write","channels:write"]')
)) where builtin = 1 and name in ('RuleManager', 'Operator');
`;

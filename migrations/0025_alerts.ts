/**
 * Alerts with a life: alerts, incidents with their timeline and acknowledgements, silences, policies
 * and routing with their versions, and the contact rules of users.
 */
export const sql = /* sql */ `
create table alerts (
  id text primary key, projectId text not null, key text not null, fingerprint text not null,
  labels text not null check (json_valid(labels)), annotations text not null check (json_valid(annotations)),
  generatorUrl text, severity text, source text not null, sourceId text,
  state text not null check (state in ('pending', 'firing', 'resolved')),
  startsAt integer not null, firesAt integer, endsAt integer, isTimeoutEnd integer not null default 0, timedOut integer not null default 0,
  lastAt integer not null, count integer not null default 1, resolvedAt integer
) strict, without rowid;
create unique index alerts_live on alerts (projectId, key) where state <> 'resolved';
create index alerts_resolved on alerts (projectId, resolvedAt, id) where state = 'resolved';
create index alerts_resolved_at on alerts (resolvedAt) where state = 'resolved';

create table alert_signals (
  eventSeq integer not null, ruleId text not null, action text not null check (action in ('fire', 'resolve')),
  projectId text not null, input text not null check (json_valid(input)), at integer not null, primary key (eventSeq, ruleId)
) strict, without rowid;

create table alert_routing (
  projectId text primary key, document text not null check (json_valid(document)), version integer not null,
  updatedBy text, updatedAt integer not null
) strict, without rowid;
create table alert_routing_versions (
  projectId text not null, version integer not null, document text not null check (json_valid(document)),
  createdBy text, createdAt integer not null, primary key (projectId, version)
) strict, without rowid;

create table policies (
  id text primary key, projectId text not null, name text not null, definition text not null check (json_valid(definition)),
  version integer not null, createdBy text, createdAt integer not null, updatedAt integer not null, deletedAt integer
) strict, without rowid;
create unique index policies_name on policies (projectId, name) where deletedAt is null;
create table policy_versions (
  policyId text not null, version integer not null, definition text not null check (json_valid(definition)),
  createdBy text, createdAt integer not null, primary key (policyId, version)
) strict, without rowid;
create table policy_turns (policyId text not null, step integer not null, userId text not null, primary key (policyId, step)) strict, without rowid;

create table incidents (
  id text primary key, number integer not null, projectId text not null, policyId text not null, policyVersion integer not null,
  groupKey text not null, groupLabels text not null check (json_valid(groupLabels)), route text not null check (json_valid(route)),
  title text not null, urgency text not null default 'high', state text not null check (state in ('open', 'acknowledged', 'resolved')),
  openedAt integer not null, acknowledgedAt integer, resolvedAt integer, resolvedBy text, snoozedUntil integer,
  step integer not null default 0, round integer not null default 0, notices integer not null default 0,
  alerts integer not null default 0, firing integer not null default 0,
  lastFlushAt integer, notifiedAt integer, flushAt integer, stepAt integer, repeatAt integer, ackExpiresAt integer, autoResolveAt integer,
  version integer not null default 1, updatedAt integer not null
) strict, without rowid;
create unique index incidents_number on incidents (projectId, number);
create unique index incidents_open on incidents (projectId, policyId, groupKey) where state <> 'resolved';
create index incidents_state on incidents (projectId, state, openedAt, id);
create index incidents_waiting on incidents (openedAt) where state = 'open' and snoozedUntil is null;
create index incidents_resolved_at on incidents (resolvedAt) where state = 'resolved';

create table incident_alerts (
  incidentId text not null, alertId text not null, addedAt integer not null, firingNotifiedAt integer, resolvedNotifiedAt integer,
  primary key (incidentId, alertId)
) strict, without rowid;
create index incident_alerts_alert on incident_alerts (alertId);

create table incident_acks (
  incidentId text not null, userId text not null, at integer not null, expiresAt integer, via text not null,
  primary key (incidentId, userId)
) strict, without rowid;

create table incident_log (
  incidentId text not null, seq integer not null, at integer not null, kind text not null, actor text,
  data text not null default '{}' check (json_valid(data)), primary key (incidentId, seq)
) strict, without rowid;

create table silences (
  id text primary key, projectId text not null, kind text not null check (kind in ('silence', 'maintenance')),
  matchers text not null check (json_valid(matchers)), startsAt integer not null, endsAt integer not null,
  recurrence text check (json_valid(recurrence)), createdBy text not null, comment text not null,
  annotations text not null default '{}' check (json_valid(annotations)), createdAt integer not null, updatedAt integer not null,
  reportedUntil integer not null, hits integer not null default 0, lastHitAt integer, version integer not null default 1
) strict, without rowid;
create index silences_project on silences (projectId, endsAt, id);
create index silences_ended on silences (endsAt);

create table silence_hits (
  silenceId text not null, alertId text not null, incidentId text not null, at integer not null, primary key (silenceId, alertId)
) strict, without rowid;
create index silence_hits_at on silence_hits (silenceId, at);

create table contact_rules (
  userId text not null references users (id), urgency text not null check (urgency in ('high', 'low')), position integer not null,
  afterMs integer not null, channels text not null check (json_valid(channels)), primary key (userId, urgency, position)
) strict, without rowid;

alter table notifications add column incidentId text;
create index notifications_incident on notifications (incidentId, createdAt) where incidentId is not null;

update roles set version = version + 1, permissions = (select json_group_array(value) from (
  select value from json_each(roles.permissions) union all
  select value from json_each('["incidents:act","silences:write","policies:write","oncall:write","heartbeats:write"]')
)) where builtin = 1 and name = 'RuleManager';
update roles set version = version + 1, permissions = (select json_group_array(value) from (
  select value from json_each(roles.permissions) union all
  select value from json_each('["incidents:act","silences:write","oncall:write","heartbeats:write"]')
)) where builtin = 1 and name = 'Operator';
`;

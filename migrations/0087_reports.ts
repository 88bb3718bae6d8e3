/**
 * Reports: a row for each ended incident, in the order in which reports read them, sums of days for long ranges, and days of persons. `labels` are
 * those of the group. `acks` and `resolves`: JSON, incidents by the floor of log2 of their seconds.
 */
export const sql = /* sql */ `
create table incident_facts (
  incidentId text not null, projectId text not null, number integer not null, policy text not null,
  severity text not null, key text not null, labels text not null,
  openedAt integer not null, pagedAt integer, reachedAt integer, firstAckAt integer, firstAckBy text,
  resolvedAt integer not null, end text not null, alerts integer not null, pages integer not null,
  people integer not null, steps integer not null, reopened integer not null, isDirect integer not null,
  isReassigned integer not null,
  primary key (projectId, openedAt, incidentId)
) strict, without rowid;
create unique index incident_facts_incident on incident_facts (incidentId);
create index incident_facts_key on incident_facts (projectId, key, resolvedAt);
create index incident_facts_ack on incident_facts (firstAckBy, openedAt) where firstAckBy is not null;

create table incident_days (
  projectId text not null, day integer not null, policy text not null, severity text not null, key text not null,
  incidents integer not null, paged integer not null, acknowledged integer not null, brief integer not null,
  reopened integer not null, pages integer not null, ackMs integer not null, resolveMs integer not null,
  acks text not null, resolves text not null,
  primary key (projectId, day, policy, severity, key)
) strict, without rowid;

create table person_days (
  userId text not null, projectId text not null, day text not null, pagesDay integer not null,
  pagesNight integer not null, pagesWeekend integer not null, sleepBreaks integer not null,
  primary key (userId, day, projectId)
) strict, without rowid;
create index person_days_project on person_days (projectId, day);

create table report_marks (name text primary key, at integer not null) strict, without rowid;

create index pages_arrived on pages (deliveredAt) where outcome = 'delivered' and userId is not null and isEnd = 0;
`;

/**
 * Pages: the notices of incidents, one row for each message to a person's target, a room or a webhook, with its outcome.
 * Incidents keep when a page first reached someone, and when the last step started.
 * Notices that jobs of the earlier version still hold are sent by those jobs.
 */
export const sql = /* sql */ `
create table pages (
  id text primary key, incidentId text not null, projectId text not null,
  kind text not null check (kind in ('delivery', 'channel', 'webhook')),
  way text not null, target text not null, provider text not null, owner text not null,
  userId text, channel text, step integer, notificationId text, reason text not null,
  urgency text not null check (urgency in ('high', 'low')), severity integer not null default 3, isEnd integer not null default 0,
  content text not null default '{}' check (json_valid(content)),
  outcome text not null default 'queued'
    check (outcome in ('queued', 'trying', 'held', 'delivered', 'failed', 'overtaken', 'skipped')),
  note text, attempts integer not null default 0, firstAttemptAt integer, failedAt integer, heldUntil integer,
  lastError text, answer text, deliveredAt integer, createdAt integer not null, updatedAt integer not null, endedAt integer
) strict, without rowid;
create index pages_incident on pages (incidentId, createdAt);
create index pages_open on pages (createdAt) where endedAt is null;
create index pages_target on pages (target, createdAt);

alter table incidents add column reachedAt integer;
alter table incidents add column steppedAt integer;
update incidents set reachedAt = notifiedAt where notifiedAt is not null;
`;

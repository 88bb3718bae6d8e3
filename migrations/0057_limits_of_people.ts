/**
 * A topic that a publish made expires (isKept 0); until now such topics had the principal's key as
 * creator. What each person has made is counted by the indexes. Topics that a key made by publishing belong to
 * the key's creator, others to their user; attachments of a key count for its creator.
 */
export const sql = /* sql */ `
alter table ntfy_topics add column lastUsedAt integer;
alter table ntfy_topics add column isKept integer not null default 1 check (isKept in (0, 1));
update ntfy_topics set isKept = 0, lastUsedAt = unixepoch('now') * 1000
where kind = 'messages' and (createdBy is null or createdBy like 'key:%' or createdBy like 'user:%');
update ntfy_topics set createdBy = (select k.createdBy from api_keys k where k.id = substr(ntfy_topics.createdBy, 5))
where createdBy like 'key:%';
update ntfy_topics set createdBy = substr(createdBy, 6) where createdBy like 'user:%';
update ntfy_attachments set owner = coalesce('user:' || (
  select k.createdBy from api_keys k where k.id = substr(ntfy_attachments.owner, 5)), owner)
where owner like 'key:%';

create index ntfy_topics_creator on ntfy_topics (createdBy);
create index ntfy_topics_project on ntfy_topics (projectId, createdBy);
create index receivers_creator on receivers (createdBy);
create index integrations_creator on integrations (createdBy);
create index channels_creator on channels (createdBy);
create index webhooks_creator on webhooks (createdBy);
create index policies_creator on policies (createdBy) where deletedAt is null;
create index oncall_schedules_creator on oncall_schedules (createdBy);
create index projects_owner on projects (ownerId) where deletedAt is null;
`;

/**
 * When a channel last accepted a message since its settings changed, and the warnings of paging that
 * people have a notice of. Channels that have sent are taken as tested.
 */
export const sql = /* sql */ `
alter table channels add column acceptedAt integer;
update channels set acceptedAt =
  (select max(m.updatedAt) from channel_messages m where m.channelId = channels.id and m.state <> '' and m.error is null);

create table paging_warnings (
  cause text primary key, projectId text not null, notificationId text not null, sentAt integer not null
) strict, without rowid;
create index paging_warnings_project on paging_warnings (projectId);
`;

/**
 * Bodies of pings count as bytes that a project stores. Pings without a body run no trigger. The index
 * counts what one person has made.
 */
const BYTES = (row: string): string => `100 + octet_length(${row}.body)`;

export const sql = /* sql */ `
insert into project_texts (projectId, bytes)
select h.projectId, sum(${BYTES("p")}) from heartbeat_pings p join heartbeats h on h.id = p.heartbeatId
where p.body is not null group by h.projectId
on conflict (projectId) do update set bytes = bytes + excluded.bytes;

create trigger heartbeat_pings_texts_added after insert on heartbeat_pings when new.body is not null
begin
  insert into project_texts (projectId, bytes)
  select projectId, ${BYTES("new")} from heartbeats where id = new.heartbeatId
  on conflict (projectId) do update set bytes = bytes + excluded.bytes;
end;
create trigger heartbeat_pings_texts_removed after delete on heartbeat_pings when old.body is not null
begin
  update project_texts set bytes = max(0, bytes - (${BYTES("old")}))
  where projectId = (select projectId from heartbeats where id = old.heartbeatId);
end;
create index heartbeats_creator on heartbeats (createdBy) where createdBy is not null;
`;

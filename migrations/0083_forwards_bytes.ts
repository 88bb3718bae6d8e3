/** Requests that wait to be passed on count as bytes that their project stores: the sealed row. */
export const sql = /* sql */ `
update forwards set bytes = 200 + octet_length(request);
insert into project_texts (projectId, bytes)
  select projectId, sum(bytes) from forwards group by projectId having true
  on conflict (projectId) do update set bytes = bytes + excluded.bytes;

create trigger forwards_texts_added after insert on forwards
begin
  insert into project_texts (projectId, bytes) values (new.projectId, new.bytes)
  on conflict (projectId) do update set bytes = bytes + excluded.bytes;
end;
create trigger forwards_texts_removed after delete on forwards
begin
  update project_texts set bytes = max(0, bytes - old.bytes) where projectId = old.projectId;
end;
`;

/** What describes this file and not the data: it differs between copies of one database. */
export const sql = /* sql */ `
create table if not exists local_state (key text primary key, value any, updatedAt integer not null) strict, without rowid;
insert into local_state (key, value, updatedAt)
select key, value, updatedAt from settings where key in ('schema.checked', 'store.beat', 'store.probe') on conflict (key) do nothing;
delete from settings where key in ('schema.checked', 'store.beat', 'store.probe');
`;

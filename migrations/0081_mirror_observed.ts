/**
 * What the system beside a mirror project was seen to do. `ref`: the observation's own name there, so that one that is
 * sent again counts once. `key`: the alarm's name there, such as `fp:<fingerprint>`. They count as bytes that a
 * project stores.
 */
const BYTES = (row: string): string =>
  ["ref", "key", "title", "labels", "person", "way"]
    .map((name) => `coalesce(octet_length(${row}.${name}), 0)`)
    .join(" + ");

export const sql = /* sql */ `
create table mirror_observed (
  projectId text not null,
  ref text not null,
  system text not null,
  kind text not null check (kind in ('notified', 'acknowledged', 'resolved')),
  at integer not null,
  key text,
  title text,
  labels text,
  startsAt integer,
  person text,
  way text,
  primary key (projectId, ref)
) strict, without rowid;
create index mirror_observed_at on mirror_observed (projectId, at);

create trigger mirror_observed_texts_added after insert on mirror_observed
begin
  insert into project_texts (projectId, bytes) values (new.projectId, 100 + ${BYTES("new")})
  on conflict (projectId) do update set bytes = bytes + excluded.bytes;
end;
create trigger mirror_observed_texts_removed after delete on mirror_observed
begin
  update project_texts set bytes = max(0, bytes - (100 + ${BYTES("old")})) where projectId = old.projectId;
end;
`;

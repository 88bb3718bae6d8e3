/**
 * What configuration files own: the object, who applied it (`source`), where it stands in the files (`place`), and its
 * members as they were applied, without secrets. `version`: that of the object after it was applied.
 */
export const sql = /* sql */ `
create table managed_objects (
  kind text not null,
  objectId text not null,
  projectId text,
  name text not null,
  source text not null,
  place text,
  spec text not null,
  version text not null,
  isLocked integer not null,
  unlockedUntil integer,
  appliedAt integer not null,
  primary key (kind, objectId)
) strict, without rowid;
create index managed_objects_source on managed_objects (source, projectId);
`;
